"""Rows out of one open file, format by format, each with its number; a broken row comes out as a `BadRow`.

The readers hold one row (parquet and arrow: one batch) in memory, whatever the size of the file, and import nothing but
the standard library until a parquet or arrow file is read.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, cast

from .errors import DataError
from .plain_text import read_plain_text
from .record_rows import BadRow, Record, Rows, check_columns, chosen, invalid_byte, not_utf8, shown
from .squad_format import articles_start, is_article, questions
from .tagged_formats import read_tagged_lines

DELIMITERS = {"csv": ",", "tsv": "\t"}
_OTHER_DELIMITERS = (",", "\t", ";", "|")
_HEAD_LINES = 20  # lines from which the delimiter is guessed
_END = "\x1dend of file\x1d"  # fed to csv.reader after the last line, to see whether a quote is still open there
_LARGEST_FIELD = 2**31 - 1  # csv refuses fields over 128 KiB by default; a row may hold a book
_JSON_BLOCK = 1 << 20  # characters read at a time from a JSON list
_JSON_HEAD = 1 << 14  # characters within which the articles of an indented SQuAD file begin
_ARROW_ROWS = 1000  # rows of a parquet or arrow file that are in memory at a time


def read_file(
    stream: BinaryIO, source: str, format: str, columns: Sequence[str] | None = None, *, text_unit: str = "lines"
) -> Rows:
    """The rows of an open file in one of `record_files.FORMATS`, with only ``columns`` if given.

    ``text_unit``, one of `record_files.TEXT_UNITS`, says what a row of a txt file is.

    Raises:
        DataError: the file is empty or broken as a whole, or a table lacks one of ``columns``.
    """
    if format in DELIMITERS:
        return _read_table(stream, source, DELIMITERS[format], columns)
    if format == "jsonl":
        return _read_json_lines(_text_lines(stream, source), source, columns)
    if format == "json":
        return _read_json(stream, source, columns)
    if format == "txt":
        return read_plain_text(text_stream(stream, source, newline=""), source, columns, text_unit)
    if format in ("conll", "conllu"):
        return read_tagged_lines(_text_lines(stream, source), source, columns, universal=format == "conllu")
    return _read_arrow(stream, source, format, columns)


def read_text(stream: BinaryIO, source: str, label: str, columns: Sequence[str] | None = None) -> Rows:
    """One row for a whole file: ``text`` is its contents, ``label`` the name of its class folder."""
    raw = stream.read()
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        yield BadRow(source, 1, not_utf8(raw[error.start], None), shown(raw.decode("utf-8", "replace")))
        return
    yield Record(chosen({"text": text, "label": label}, columns, source), source, 1)


def read_picture_file(
    stream: BinaryIO, source: str, path: str, label: str | None, columns: Sequence[str] | None = None
) -> Rows:
    """One row for a file that is a picture: ``image`` as datasets stores it, ``label`` the name of its class folder."""
    values: dict[str, Any] = {"image": {"bytes": stream.read(), "path": path}}
    yield Record(chosen(values | ({} if label is None else {"label": label}), columns, source), source, 1)


# --- text ---------------------------------------------------------------------------------------------------------


def text_stream(stream: BinaryIO, source: str, newline: str | None = None) -> io.TextIOWrapper:
    """``stream`` as text: UTF-8, or UTF-16 where a byte order mark says so. Invalid bytes become lone surrogates."""
    buffered = cast(Any, stream) if hasattr(stream, "peek") else io.BufferedReader(cast(io.RawIOBase, stream))
    start = buffered.peek(3)[:3]
    if not start:
        raise DataError(f"{source} is empty; expected rows")
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return io.TextIOWrapper(buffered, encoding=encoding, errors="surrogateescape", newline=newline)


def _text_lines(stream: BinaryIO, source: str) -> Iterator[str]:
    return iter(text_stream(stream, source))


# --- csv and tsv --------------------------------------------------------------------------------------------------


def _read_table(stream: BinaryIO, source: str, delimiter: str, columns: Sequence[str] | None) -> Rows:
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_FIELD))  # a setting of the whole process
    lines = iter(text_stream(stream, source, newline=""))
    head = list(itertools.islice(lines, _HEAD_LINES))
    delimiter = _guess_delimiter(head, delimiter)
    rows = _table_rows(itertools.chain(head, lines), delimiter)
    header = next((fields for fields, _ in rows if fields), None)
    if header is None:
        raise DataError(f"{source} has no header; its first line must name the columns")
    names = _column_names(header)
    if byte := invalid_byte("".join(names)):
        raise DataError(f"{source}: in the header {not_utf8(byte, None)}")
    if columns is not None:
        check_columns(columns, names, source)
    chosen = [(name, names.index(name)) for name in (columns if columns is not None else names)]

    number = 0
    for fields, raw in rows:
        if fields is None:
            number += 1
            yield BadRow(source, number, "a quote is opened in this row and never closed", shown(raw))
        elif not fields:
            continue  # a blank line
        else:
            number += 1
            if len(fields) != len(names):
                yield BadRow(source, number, _ragged(len(fields), names, delimiter), shown(raw))
            elif invalid_byte(raw) is not None:
                column, byte = next((n, b) for n, f in zip(names, fields, strict=True) if (b := invalid_byte(f)))
                yield BadRow(source, number, not_utf8(byte, column), shown(raw))
            else:
                yield Record({name: fields[index] for name, index in chosen}, source, number)


def _table_rows(lines: Iterator[str], delimiter: str) -> Iterator[tuple[list[str] | None, str]]:
    """Fields and raw text of each row; fields are None for a line whose quote stays open to the end of the file.

    After such a line reading goes on with the next one: one stray quote must not swallow the rest of the file.
    """
    pending: list[str] = []  # the lines of the row being read

    def fed(source: Iterator[str]) -> Iterator[str]:
        for line in source:
            pending.append(line)
            yield line
        yield _END

    while True:
        for fields in csv.reader(fed(lines), delimiter=delimiter):
            if fields and fields[-1].endswith(_END):
                break
            raw = pending[0] if len(pending) == 1 else "".join(pending)
            pending.clear()
            yield fields, raw
        if not pending:
            return
        first, *rest = pending
        pending.clear()
        yield None, first
        lines = iter(rest)


def _guess_delimiter(head: list[str], named: str) -> str:
    """``named``, unless the header has one column with it and several with another one that also fits the rows."""

    def widths(delimiter: str) -> list[int]:
        return [len(fields) for fields, _ in _table_rows(iter(head), delimiter) if fields]

    if (found := widths(named)) and found[0] > 1:
        return named
    candidates = [(found[0], delimiter) for delimiter in _OTHER_DELIMITERS if _fits(found := widths(delimiter))]
    return max(candidates)[1] if candidates else named


def _fits(widths: list[int]) -> bool:
    """Whether there are several columns, and most of the rows have as many as the header."""
    return bool(widths) and widths[0] > 1 and widths.count(widths[0]) * 2 > len(widths)


def _column_names(header: Sequence[str]) -> list[str]:
    """The header without surrounding spaces; unnamed columns get their number, repeated names a suffix."""
    names: list[str] = []
    for position, field in enumerate(header, 1):
        name = field.strip() or f"column {position}"
        names.append(name if name not in names else f"{name}.{names.count(name)}")
    return names


def _ragged(width: int, names: Sequence[str], delimiter: str) -> str:
    shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    fields = f"{width} field{'' if width == 1 else 's'}"
    if width > len(names):
        mark = "a tab" if delimiter == "\t" else f"'{delimiter}'"
        return f"it has {fields} where the header names {len(names)} ({shown}); quote fields that hold {mark}"
    return f"it has {fields} where the header names {len(names)} ({shown}); column '{names[width]}' is missing"


# --- JSON ---------------------------------------------------------------------------------------------------------


def _read_json_lines(lines: Iterable[str], source: str, columns: Sequence[str] | None) -> Rows:
    number = 0
    for line in lines:
        if not line.strip():
            continue
        number += 1
        if (byte := invalid_byte(line)) is not None:
            yield BadRow(source, number, not_utf8(byte, None), shown(line))
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            yield BadRow(source, number, f"it is not JSON ({error})", shown(line))
            continue
        yield _json_row(value, source, number, columns)


def _json_row(value: Any, source: str, number: int, columns: Sequence[str] | None) -> Record | BadRow:
    if not isinstance(value, dict):
        reason = f"it is a JSON {_json_type(value)}; expected an object such as {{'text': …, 'label': …}}"
        return BadRow(source, number, reason, shown(json.dumps(value, ensure_ascii=False)))
    if columns is not None:
        value = {name: value.get(name) for name in columns}  # rows may leave out what is null
    for name, item in value.items():
        if isinstance(item, str) and invalid_byte(item) is not None:
            reason = f"column '{name}' holds half of a surrogate pair (\\ud800 to \\udfff), which is no character"
            return BadRow(source, number, reason, shown(item))
    return Record(value, source, number)


def _json_type(value: Any) -> str:
    names = {str: "string", list: "list", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _read_json(stream: BinaryIO, source: str, columns: Sequence[str] | None) -> Rows:
    """A list of objects, an object that holds one such list (``{"data": […]}``) or a list for each column, the articles
    of SQuAD, or JSON lines under a wrong name. Only lists, articles and JSON lines are read without holding the file in
    memory, and articles only where the file begins with them."""
    text = text_stream(stream, source)
    first = text.readline(_JSON_BLOCK)  # a list is often all on one line, which may be too long for memory
    while first and not first.strip():
        first = text.readline(_JSON_BLOCK)
    if first.lstrip().startswith("["):
        yield from _read_json_list(first, text, source, columns)
        return
    if (place := articles_start(first)) is not None:
        yield from _read_questions(_read_json_list(first[place:], text, source, None), source, columns)
        return
    if not first.endswith("\n"):
        first += text.readline()
    try:
        document = json.loads(first)
        second = next((line for line in text if line.strip()), None)
    except json.JSONDecodeError:
        while (place := articles_start(first)) is None and len(first) < _JSON_HEAD and (line := text.readline()):
            first += line  # articles that are indented
        if place is not None:
            yield from _read_questions(_read_json_list(first[place:], text, source, None), source, columns)
            return
        rest = text.read()
        try:
            document, second = json.loads(first + rest), None
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"{source} is not JSON ({error})") from error
    if second is not None:
        yield from _read_json_lines(itertools.chain([first, second], text), source, columns)
        return
    rows = _rows_of_document(document, source)
    if any(map(is_article, rows)):
        articles = (_json_row(value, source, number, None) for number, value in enumerate(rows, 1))
        yield from _read_questions(articles, source, columns)
        return
    for number, value in enumerate(rows, 1):
        yield _json_row(value, source, number, columns)


def _read_questions(articles: Iterable[Record | BadRow], source: str, columns: Sequence[str] | None) -> Rows:
    """The questions of SQuAD's articles, counted through the file; one of what is no article is a bad row."""
    number = 0
    for article in articles:
        if isinstance(article, BadRow):
            number += 1
            yield BadRow(source, number, article.reason, article.raw)
            continue
        found = questions(article.values) if is_article(article.values) else ("it is no article with 'paragraphs'",)
        for row in found:
            number += 1
            if isinstance(row, str):
                yield BadRow(source, number, row, shown(json.dumps(article.values, ensure_ascii=False)))
            else:
                yield _json_row(row, source, number, columns)


def _rows_of_document(document: Any, source: str) -> Iterable[Any]:
    if not isinstance(document, dict):
        raise DataError(f"{source} holds a JSON {_json_type(document)}; expected a list of objects")
    lists = {name: value for name, value in document.items() if isinstance(value, list)}
    tables = [value for value in lists.values() if value and isinstance(value[0], dict)]
    if len(tables) == 1:
        return tables[0]
    if len(tables) > 1:
        raise DataError(f"{source} holds several lists ({', '.join(lists)}); expected one list of objects")
    if lists and len(lists) == len(document) and len({len(value) for value in lists.values()}) == 1:
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return [document]


def _read_json_list(start: str, text: io.TextIOWrapper, source: str, columns: Sequence[str] | None) -> Rows:
    decoder = json.JSONDecoder()
    buffer, at_end, number, block = start.lstrip()[1:], False, 0, _JSON_BLOCK
    position = 0
    while True:
        position = _skip(buffer, position, " \t\r\n,")
        if position < len(buffer) and buffer[position] == "]":
            return
        try:
            value, position = decoder.raw_decode(buffer, position)
        except (json.JSONDecodeError, RecursionError) as error:
            if at_end or _is_broken(error, buffer):
                # What follows a broken value in a list cannot be told apart from it: nothing more is read.
                reason = f"it is not JSON ({getattr(error, 'msg', error)}), and no row after it can be read"
                yield BadRow(source, number + 1, reason, shown(buffer[position:]))
                return
            more = text.read(block)
            at_end, block = not more, block * 2  # doubled, so that one huge value is not parsed too often
            buffer, position = buffer[position:] + more, 0
            continue
        number, block = number + 1, _JSON_BLOCK
        if (byte := invalid_byte(json.dumps(value, ensure_ascii=False))) is not None and 0x80 <= byte <= 0xFF:
            yield BadRow(source, number, not_utf8(byte, None), shown(str(value)))
        else:
            yield _json_row(value, source, number, columns)


def _skip(buffer: str, position: int, marks: str) -> int:
    while position < len(buffer) and buffer[position] in marks:
        position += 1
    return position


def _is_broken(error: Exception, buffer: str) -> bool:
    """Whether a value is wrong rather than cut off by the end of the buffer (a number or escape is under 64 long)."""
    if not isinstance(error, json.JSONDecodeError):
        return True
    return error.pos < len(buffer) - 64 and not error.msg.startswith("Unterminated string")


# --- parquet and arrow --------------------------------------------------------------------------------------------


def _read_arrow(stream: BinaryIO, source: str, format: str, columns: Sequence[str] | None) -> Rows:
    import pyarrow

    try:
        number = 0
        for batch in _arrow_batches(stream, source, format, columns):
            for values in batch.to_pylist():
                number += 1
                yield Record(values, source, number)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{source} is not a whole {format} file ({error})") from error


def _arrow_batches(stream: BinaryIO, source: str, format: str, columns: Sequence[str] | None) -> Iterator[Any]:
    if format == "parquet":
        import pyarrow.parquet

        file = pyarrow.parquet.ParquetFile(stream)
        if columns is not None:
            check_columns(columns, file.schema_arrow.names, source)
        yield from file.iter_batches(batch_size=_ARROW_ROWS, columns=None if columns is None else list(columns))
        return
    import pyarrow

    is_file = stream.read(6) == b"ARROW1"
    stream.seek(0)
    reader = pyarrow.ipc.open_file(stream) if is_file else pyarrow.ipc.open_stream(stream)
    batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else iter(reader)
    if columns is not None:
        check_columns(columns, reader.schema.names, source)
    for batch in batches:
        chosen = batch if columns is None else batch.select(list(columns))
        for start in range(0, chosen.num_rows, _ARROW_ROWS):
            yield chosen.slice(start, _ARROW_ROWS)
