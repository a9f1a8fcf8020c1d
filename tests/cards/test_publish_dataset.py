"""Publishing data sets: only rows that can be read and files that hold them, with a licence that is stated once."""

import os

import pytest
from quintet.cards.publishing import publish
from quintet.pipelines.errors import DataError, PublishError, UsageError

TOKEN = "hf_" + "AbCd" * 9
ROWS = "text,label\na film,good\na meal,bad\na room,good\n"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "visits"
    folder.mkdir()
    (folder / "train.csv").write_text(ROWS, encoding="utf-8")
    return folder


@pytest.fixture
def planned(short_waits):
    """What a dry run says of a data set."""

    def plan(source, license="mit", **options):
        return publish(
            source,
            "me/visits",
            dataset=True,
            license=license,
            dry_run=True,
            endpoint="http://127.0.0.1:9",
            token="any",
            **options,
        )

    return plan


def refusal(planned, folder, **options):
    with pytest.raises(PublishError, match="'visits' is not ready to be published") as caught:
        planned(folder, **options)
    return str(caught.value)


def test_nothing_but_rows_card_and_licence_goes_out(folder, planned):
    (folder / "LICENSE").write_text("Do as you like.\n", encoding="utf-8")
    (folder / ".env").write_text("x", encoding="utf-8")
    os.mkfifo(folder / "pipe")
    report = planned(folder)
    assert {file.path for file in report.plan.files} == {"LICENSE", "README.md", "train.csv"}
    assert report.plan.left_out == {".env": "hidden", "pipe": "neither a file nor a folder"}


def test_secrets_beside_the_rows_links_and_tokens_in_cells_are_refused_at_once(folder, planned):
    (folder / "secrets.txt").write_text(f"token: {TOKEN}\n", encoding="utf-8")
    (folder / "credentials.json").write_text(f'{{"token": "{TOKEN}"}}', encoding="utf-8")
    (folder / "LICENSE").symlink_to("/etc/passwd")
    (folder / "test.csv").write_text(f"text,label\na film {TOKEN},good\n", encoding="utf-8")
    (folder / "NOTICE").write_text(f"by {TOKEN}\n", encoding="utf-8")
    text = refusal(planned, folder)
    assert "5 things to correct" in text
    assert "LICENSE is a link out of the folder" in text
    assert "credentials.json belongs to no split" in text and "secrets.txt belongs to no split" in text
    assert "test.csv, line 2: it has a token" in text and "NOTICE, line 1: it has a token" in text


def test_class_folders_and_saved_data_sets_are_rows_too(tmp_path, planned):
    import datasets

    for label in ("good", "bad"):
        (tmp_path / "texts" / label).mkdir(parents=True)
        (tmp_path / "texts" / label / "1.txt").write_text(f"a {label} film", encoding="utf-8")
    assert {file.path for file in planned(tmp_path / "texts").plan.files} == {"README.md", "bad/1.txt", "good/1.txt"}
    rows = datasets.Dataset.from_dict({"text": ["a film", "a meal"], "label": ["good", "bad"]})
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "saved")
    assert {file.path for file in planned(tmp_path / "saved").plan.files} >= {
        "dataset_dict.json",
        "train/data-00000-of-00001.arrow",
        "test/state.json",
    }


@pytest.mark.parametrize(
    ("name", "rows", "sentence"),
    [
        ("train.csv", ROWS + "only one\nanother\n", "train.csv, row 4: it has 1 field where the header names 2"),
        ("train.csv", ROWS + "a walk,\n", "train.csv, row 4: "),
        (
            "train.jsonl",
            '{"text": "a", "label": "b"}\n{"text":\n{"text": "c", "label": "d"}\n',
            "row 2: it is not JSON",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_refused_by_their_place(folder, planned, name, rows, sentence):
    (folder / "train.csv").unlink()
    (folder / name).write_text(rows, encoding="utf-8")
    text = refusal(planned, folder)
    assert sentence in text and "correct the row, or take it out" in text


def test_many_bad_rows_are_counted(folder, planned):
    (folder / "train.csv").write_text(ROWS + "x\n" * 9, encoding="utf-8")
    assert "6 more rows of the data cannot be used." in refusal(planned, folder)


def test_rows_in_another_encoding_are_called_so(folder, planned):
    (folder / "train.csv").write_bytes("text,label\nschöner Film,gut\nübler Film,schlecht\n".encode("latin-1"))
    sentence = (
        r"no row that can be read; the first: train\.csv, row 1: column 'text' holds the byte 0xf6, which is not UTF-8"
    )
    with pytest.raises(DataError, match=sentence):
        planned(folder)


def test_a_card_in_another_encoding_or_that_is_broken_is_refused_by_its_own_words(folder, planned):
    card = folder / "README.md"
    card.write_bytes("---\nlicense: mit\n---\n\n# Für alle\n".encode("latin-1"))
    assert "README.md is not text in UTF-8 (invalid start byte at byte 25); save it in UTF-8" in refusal(
        planned, folder
    )
    card.write_text("---\nlicense: [mit\n---\n\n# Mine\n", encoding="utf-8")
    text = refusal(planned, folder, license=None)
    assert "README.md: the front matter is no YAML: " in text and "licence" not in text
    card.unlink()
    card.mkdir()
    assert "README.md is a folder, expected a file; move it away." in refusal(planned, folder)


def test_the_licence_of_a_card_by_hand_is_its_own(folder, planned):
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# Mine\n", encoding="utf-8")
    text = refusal(planned, folder, license="apache-2.0")
    assert "--license apache-2.0 was given, but README.md was written by hand and says mit" in text
    assert planned(folder, license=None).status == planned(folder, license="mit").status == "planned"
    (folder / "README.md").write_text("\n\n", encoding="utf-8")  # none, so one is written
    assert planned(folder, license="apache-2.0").status == "planned"


def test_a_licence_that_is_linked_to_is_there(folder, planned):
    other = {"license": "other", "license_name": "ours"}
    assert "--license-link NOFILE is neither a URL nor a file that is published with it" in refusal(
        planned, folder, **other, license_link="NOFILE"
    )
    (folder / "LICENSE").write_text("Do as you like.\n", encoding="utf-8")
    assert planned(folder, **other, license_link="LICENSE").status == "planned"
    assert planned(folder, **other, license_link="https://example.org/license").status == "planned"
    with pytest.raises(UsageError, match="--license-name ours was given with --license mit, whose name and text are"):
        planned(folder, license_name="ours")
    with pytest.raises(UsageError, match=r"license is empty; choose one, such as apache-2\.0, or leave it out"):
        planned(folder, license="")


def test_its_card_says_who_wrote_it():
    from quintet.cards.dataset_card import CARD_START
    from quintet.cards.marks import CARD_END, WORDS_END, WORDS_START
    from quintet.cards.render import read_readme

    assert "written by `quintet publish --dataset`" in CARD_START
    assert read_readme(f"{CARD_START}\n{WORDS_START}\nmine\n{WORDS_END}\n{CARD_END}\n").own_words == "mine"


def test_a_folder_that_is_not_there_is_told(tmp_path, planned):
    with pytest.raises(UsageError, match="there is no file or folder 'absent'; give the data set's"):
        planned(tmp_path / "absent")
