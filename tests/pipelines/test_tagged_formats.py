import gzip

import pytest
from quintet.pipelines.errors import DataError
from quintet.pipelines.record_rows import BadRow
from quintet.pipelines.records import read_records

CONLL = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""

UNIVERSAL = """# sent_id = 1
# text = vámonos al mar
1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\tVERB\t_\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_
3\tmar\tmar\tNOUN\t_\t_\t1\tobl\t_\t_

"""


def test_texts_are_rows_with_lists_of_words_and_tags(tmp_path):
    (tmp_path / "train.conll").write_text(CONLL, encoding="utf-8")
    rows = list(read_records(tmp_path / "train.conll"))
    assert [row.row for row in rows] == [3, 6]  # the lines on which the texts begin
    assert rows[0].values == {
        "tokens": ["EU", "rejects"],
        "pos": ["NNP", "VBZ"],
        "chunk": ["B-NP", "B-VP"],
        "tags": ["B-ORG", "O"],
    }
    assert rows[1].values["tags"] == ["B-PER", "I-PER"]


@pytest.mark.parametrize("ending", ["bio", "iob", "iob2", "bioes", "conll.gz"])
def test_endings(tmp_path, ending):
    content = b"Jim\tB-PER\nlives in\tO\n"  # with a tab between, a word may hold a space
    (tmp_path / f"names.{ending}").write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    (row,) = read_records(tmp_path / f"names.{ending}", columns=["tags", "tokens"])
    assert row.values == {"tags": ["B-PER", "O"], "tokens": ["Jim", "lives in"]}


def test_universal_dependencies(tmp_path):
    (tmp_path / "es.conllu").write_text(UNIVERSAL, encoding="utf-8")
    (row,) = read_records(tmp_path / "es.conllu")
    assert row.values["tokens"] == ["vamos", "nos", "mar"]
    assert row.values["tags"] == ["VERB", "PRON", "NOUN"]
    assert row.row == 3


def test_a_line_without_a_tag_is_a_bad_text_and_the_others_are_read(tmp_path):
    (tmp_path / "a.conll").write_text("Jim B-PER\nsleeps\n\nAnn B-PER\n", encoding="utf-8")
    bad, good = read_records(tmp_path / "a.conll", on_bad_row="yield")
    assert isinstance(bad, BadRow) and bad.place == "a.conll, row 1"
    assert bad.reason == (
        "line 2 of the text has 1 columns where 2 were expected ('sleeps'); each line needs a word and its tag, and an "
        "empty line ends a text"
    )
    assert good.values["tokens"] == ["Ann"]
    with pytest.raises(DataError, match=r"a\.conll, row 1: line 2 of the text has 1 columns"):
        list(read_records(tmp_path / "a.conll"))


def test_words_alone_are_no_tagged_text(tmp_path):
    (tmp_path / "a.conll").write_text("Jim\nsleeps\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1 of the text has 1 columns where 2 were expected"):
        list(read_records(tmp_path / "a.conll"))


def test_bytes_that_are_not_utf8_are_told(tmp_path):
    (tmp_path / "a.conll").write_bytes(b"Z\xfcrich B-LOC\n")
    with pytest.raises(DataError, match="it holds the byte 0xfc, which is not UTF-8"):
        list(read_records(tmp_path / "a.conll"))
