"""Plain text as the rows of a task that only reads text: lines, documents, or pieces of one text in their order."""

import pytest
from quintet.finetune.data import describe_data, load_data
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.tasks import find_task

WRITING, MASKS = find_task("text-generation"), find_task("fill-mask")


def play(lines):
    return "".join(f"Speaker {number}:\nLine {number} of the play.\n\n" for number in range(lines))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "play.txt"
    path.write_text(play(2000), encoding="utf-8")
    return path


def joined(data, role):
    return "".join(data.splits[role]["text"])


def test_text_generation_reads_a_txt_file_as_one_text_whose_end_is_carved(file):
    data = load_data(str(file), task=WRITING)
    assert data.text_unit == "blocks" and data.is_one_text
    assert joined(data, "train") + joined(data, "validation") == play(2000)
    train, validation = data.report.splits
    assert validation.rows == round(0.1 * (train.rows + validation.rows)) >= 3
    assert validation.rule == f"the last 10 % of train, {validation.rows} of its pieces"
    assert (train.rule, train.seed, validation.seed) == ("train, less what was carved", None, None)
    assert data.content_order["validation"].tolist() == list(range(validation.rows))
    assert data.report.facts().text_unit == "blocks"


def test_test_rows_are_carved_behind_the_validation_rows(file):
    data = load_data(str(file), task=WRITING, test_fraction=0.2, validation_fraction=0.2)
    assert joined(data, "train") + joined(data, "validation") + joined(data, "test") == play(2000)
    assert len(data.splits) == 3


def test_fewer_rows_are_the_beginning(file):
    data = load_data(str(file), task=WRITING, max_rows=2)
    train = data.report.splits[0]
    assert play(2000).startswith(joined(data, "train")) and train.rows == 2
    assert train.rule == "train, less what was carved; the first 2 pieces"


def test_a_cut_of_ones_own_is_reached_to_the_character(tmp_path):
    text = play(300)
    (tmp_path / "train.txt").write_text(text[:7001], encoding="utf-8")
    (tmp_path / "validation.txt").write_text(text[7001:], encoding="utf-8")
    data = load_data(str(tmp_path), task=WRITING)
    assert (joined(data, "train"), joined(data, "validation")) == (text[:7001], text[7001:])


def test_fill_mask_reads_lines_unless_asked_otherwise(file):
    assert load_data(str(file), task=MASKS).text_unit == "lines"
    data = load_data(str(file), task=MASKS, text_unit="documents")
    assert data.text_unit == "documents"
    assert "Speaker 7:\nLine 7 of the play." in data.splits["train"]["text"][:]
    assert data.report.splits[1].rule == "10 % of train, equal texts together"


def test_rows_of_other_data_are_texts_of_their_own_unless_they_are_said_to_follow_each_other():
    rows = [{"text": f"line {number}"} for number in range(20)]
    assert load_data(rows, task=WRITING).text_unit == "documents"
    data = load_data(rows, task=WRITING, text_unit="blocks")
    assert data.splits["validation"]["text"][:] == ["line 18", "line 19"]


def test_the_same_file_is_converted_once_for_each_unit(file):
    lines, blocks = (load_data(str(file), task=WRITING, text_unit=unit) for unit in ("lines", "blocks"))
    assert len(lines.splits["train"]) > 1000 > len(blocks.splits["train"])


def test_tasks_with_a_target_have_no_use_for_it(file):
    with pytest.raises(UsageError, match="--text-unit blocks means nothing to text-classification; leave it out"):
        load_data(str(file), task=find_task("sentiment"), text_unit="blocks")


def test_a_text_of_one_piece_cannot_be_carved(tmp_path):
    (tmp_path / "short.txt").write_text("To be, or not to be.", encoding="utf-8")
    with pytest.raises(DataError, match="validation cannot be carved from train: its text is a single piece"):
        load_data(str(tmp_path / "short.txt"), task=WRITING)


def test_lines_that_are_all_alike_cannot_be_carved():
    with pytest.raises(DataError, match="cannot be carved from train: it has no two different texts in its 3 rows"):
        load_data([{"text": "To be"}] * 3, task=MASKS)


def test_the_report_says_what_a_row_is(file, capsys):
    from quintet.finetune.data import print_report
    from rich.console import Console

    print_report(describe_data(str(file), task="text-generation"), Console(width=200))
    assert "rows: consecutive pieces of one text" in capsys.readouterr().out
