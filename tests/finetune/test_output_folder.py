"""The output folder: what a failed start leaves does not stand in the way, what a run left does."""

import pytest
from quintet import UsageError
from quintet.finetune.output_folder import SETTINGS_FILE, open_output


def failed_start(folder):
    (folder / "state" / "tokenizer").mkdir(parents=True)
    (folder / SETTINGS_FILE).write_text("", encoding="utf-8")
    return folder


def test_what_a_failed_start_left_is_removed(tmp_path):
    open_output(failed_start(tmp_path), resume=False, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_what_was_prepared_is_kept_for_a_run_that_goes_on(tmp_path):
    open_output(failed_start(tmp_path), resume=True, overwrite=False)
    assert (tmp_path / "state" / "tokenizer").is_dir()


@pytest.mark.parametrize("left", ["log.jsonl", "state/step-00000002/state.pt", "notes.txt"])
def test_a_folder_with_anything_worth_keeping_is_an_error(tmp_path, left):
    path = failed_start(tmp_path) / left
    path.parent.mkdir(exist_ok=True)
    path.write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"is not empty .*; go on with --resume, start again with --overwrite"):
        open_output(tmp_path, resume=False, overwrite=False)
    assert path.is_file()
