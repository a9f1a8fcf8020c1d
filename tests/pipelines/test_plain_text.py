"""What a row of a plain text file is: a line, a text between blank lines, or a piece of one long text."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quintet.pipelines.plain_text import BLOCK_CHARACTERS
from quintet.pipelines.record_files import DataFile, find_files
from quintet.pipelines.record_formats import read_file
from quintet.pipelines.records import BadRow, read_data_file

SHAPES = st.lists(st.sampled_from(["To be, ", "\n", "\n\n", "\r\n", " " * 3000, "x" * 5000, "not", "北京" * 900, "\t"]))


def rows(raw, unit, source="poem.txt"):
    import io

    return list(read_file(io.BytesIO(raw), source, "txt", text_unit=unit))


def texts(raw, unit):
    return [row.values["text"] for row in rows(raw, unit)]


@given(SHAPES)
def test_blocks_joined_are_the_file_and_none_is_blank(parts):
    text = "".join(parts)
    if not text:
        return
    found = texts(text.encode(), "blocks")
    assert "".join(found) == (text if text.strip() else "")
    assert all(block.strip() for block in found)


def test_blocks_end_behind_lines_and_stay_of_one_size():
    text = "".join(f"line {number} of a play\n\n" for number in range(4000))
    found = texts(text.encode(), "blocks")
    assert len(found) > 30 and "".join(found) == text
    assert all(block.endswith("\n") and not block.startswith("\n") for block in found)
    assert all(BLOCK_CHARACTERS <= len(block) <= 2 * BLOCK_CHARACTERS for block in found[:-1])


def test_without_lines_blocks_end_before_a_space_and_without_spaces_anywhere():
    words = "word " * 3000
    found = texts(words.encode(), "blocks")
    assert "".join(found) == words and all(block.startswith(" word") for block in found[1:])
    letters = "x" * 20_000
    assert [len(block) for block in texts(letters.encode(), "blocks")] == [4096] * 4 + [3616]


def test_documents_keep_their_line_breaks_and_are_counted():
    found = rows(b"\n\nFirst:\nWe are\n\n \nSecond\r\n\r\nThird", "documents")
    assert [row.values["text"] for row in found] == ["First:\nWe are", "Second", "Third"]
    assert [row.row for row in found] == [1, 2, 3]


def test_lines_are_what_they_were():
    found = rows(b"one\n\ntwo\r\n  \nthree", "lines")
    assert [(row.row, row.values["text"]) for row in found] == [(1, "one"), (3, "two"), (5, "three")]


@pytest.mark.parametrize(("unit", "number"), [("lines", 3), ("documents", 2), ("blocks", 1)])
def test_bytes_that_are_no_text_make_their_row_a_bad_one(unit, number):
    (bad,) = [row for row in rows(b"one\n\ncaf\xe9\n", unit) if isinstance(row, BadRow)]
    assert bad.row == number and "the byte 0xe9, which is not UTF-8" in bad.reason


def test_gzipped_and_utf_16_files_are_read_alike(tmp_path):
    text = "A first line.\nA second one.\n" * 400
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "b.txt").write_bytes(text.encode("utf-16"))
    for name in ("a.txt.gz", "b.txt"):
        (file,) = find_files(tmp_path / name)
        blocks = read_data_file(DataFile(file.path, file.format, text_unit="blocks"))
        assert "".join(row.values["text"] for row in blocks) == text
