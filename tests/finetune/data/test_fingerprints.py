"""Fingerprints identify content; keys find equal texts."""

import hashlib
import itertools

import numpy as np
import pytest
from quintet.finetune.data.cells import Wanted
from quintet.finetune.data.fingerprints import (
    content_order,
    count_duplicates,
    count_shared,
    fingerprint,
    length_percentiles,
    scan,
)
from quintet.finetune.data.labels import LabelTable
from quintet.finetune.data.rows import MemoryRows
from quintet.pipelines.tasks import find_task

COLUMNS = {"text": "text", "label": "label"}


def duplicates(rows):
    return count_duplicates(rows.text_keys, np.arange(len(rows)))


def shared(first, second):
    keys = np.concatenate([first.text_keys, second.text_keys])
    return count_shared(keys, np.arange(len(first)), np.arange(len(first), len(keys)))


def scanned(rows, columns=COLUMNS):
    wanted = Wanted.of(find_task("sentiment"), columns)
    return scan(MemoryRows(rows).read(wanted, skip_bad=False), LabelTable(), wanted=wanted)


def rows_of(*pairs):
    return [{"text": text, "label": label} for text, label in pairs]


def test_rows_in_the_order_of_their_contents_stand_alike_whatever_their_order_was():
    rows = rows_of(*((f"text {index % 17}", "x") for index in range(40)))
    found, turned = scanned(rows), scanned(rows[::-1])
    chosen = np.arange(0, 40, dtype=np.uint32)
    order, other = content_order(found.digests, chosen), content_order(turned.digests, chosen)
    assert [rows[index] for index in order] == [rows[::-1][index] for index in other]
    assert sorted(order.tolist()) == list(range(40))
    for one, two in itertools.pairwise(order):  # equal rows stay as they stood
        assert rows[one] != rows[two] or one < two
    half = chosen[20:]
    positions = content_order(found.digests, half)
    assert sorted(positions.tolist()) == list(range(20))
    assert [found.digests[half[at]].tobytes() for at in positions] == [
        digest.tobytes() for digest in found.digests[order[order >= 20]]
    ]


def test_fingerprint_is_what_the_documentation_says():
    digests = [
        hashlib.blake2b(f"{len(text)} 0 {text}{label}".encode(), digest_size=16).digest()
        for text, label in (("a", "x"), ("b", "y"))
    ]
    ordered = sorted(digests, key=lambda digest: int.from_bytes(digest, "little"))
    expected = hashlib.sha256(b"".join(ordered)).hexdigest()
    assert fingerprint(scanned(rows_of(("a", "x"), ("b", "y"))).digests) == expected


def test_fingerprint_depends_on_content_and_not_on_order_or_type():
    base = fingerprint(scanned(rows_of(("a", 1), ("b", 0))).digests)
    assert fingerprint(scanned(rows_of(("b", "0"), ("a", "1.0"))).digests) == base
    for other in (
        rows_of(("a", 1)),
        rows_of(("a", 1), ("b", 1)),
        rows_of(("A", 1), ("b", 0)),
        rows_of(("a", 1), ("b", 0), ("b", 0)),
    ):
        assert fingerprint(scanned(other).digests) != base


def test_pairs_are_told_apart():
    columns = {"text": "a", "text_pair": "b", "label": "label"}
    first = scanned([{"a": "ab", "b": "c", "label": "x"}], columns)
    second = scanned([{"a": "a", "b": "bc", "label": "x"}], columns)
    assert fingerprint(first.digests) != fingerprint(second.digests)
    assert shared(first, second) == 0


def test_equal_texts_are_found_in_spite_of_case_and_spacing():
    first = scanned(rows_of(("A good  film", 1), ("a good film ", 0), ("other", 1)))
    second = scanned(rows_of(("a GOOD film", 1), ("a good film!", 1)))
    assert (duplicates(first), duplicates(second)) == (1, 0)
    assert shared(first, second) == shared(second, first) == 1
    assert shared(first, first) == 2


def test_rows_that_cannot_be_used_are_told_with_their_column():
    found = scanned(rows_of(("fine", 1), ("", 1), (None, 1), (" \n", 1), ("fine", None)))
    text, label = "column 'text' is missing or empty", "column 'label' is missing or empty"
    assert found.bad == {1: text, 2: text, 3: text, 4: label}


def test_a_row_takes_at_most_forty_bytes():
    for label, expected in ((lambda number: number % 2, 32), (lambda number: number / 7, 40)):
        found = scanned(rows_of(*((f"text {number}", label(number)) for number in range(12_000))))
        arrays = [found.text_keys, found.digests, found.lengths, found.labels.ids, found.labels.values]
        assert sum(array.nbytes for array in arrays if array is not None) == expected * 12_000


def test_numbers_without_end_keep_their_values():
    numbers = np.arange(12_000) / 7
    assert np.array_equal(scanned(rows_of(*((str(n), n) for n in numbers))).labels.values, numbers)


def test_fingerprint_of_some_rows_is_that_of_a_table_of_them():
    pairs = [(f"text {number}", number % 3) for number in range(500)]
    rows = np.array([7, 400, 11, 12])
    alone = scanned(rows_of(*(pairs[row] for row in rows)))
    assert fingerprint(scanned(rows_of(*pairs)).digests, rows) == fingerprint(alone.digests)


def test_length_percentiles_are_lengths_that_occur():
    assert length_percentiles(np.arange(1, 101)) == {"0": 1, "5": 5, "50": 50, "95": 95, "99": 99, "100": 100}
    assert length_percentiles(np.zeros(0)) == {}


@pytest.mark.parametrize("count", [1, 2000, 2001, 4500])
def test_every_row_is_scanned_once(count):
    found = scanned(rows_of(*((str(number), "x") for number in range(count))))
    assert len(found) == len(found.lengths) == len(found.labels) == count
    assert duplicates(found) == 0
