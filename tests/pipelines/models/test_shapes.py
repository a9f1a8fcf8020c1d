import doctest

import pytest
import torch
from quintet.pipelines import encodings
from quintet.pipelines.models import recurrent, shapes
from quintet.pipelines.models.shapes import check_shape, text_mask


@pytest.mark.parametrize("module", [shapes, recurrent, encodings], ids=lambda module: module.__name__)
def test_examples_in_docstrings_are_true(module):
    results = doctest.testmod(module, extraglobs={"torch": torch})
    assert results.attempted >= 1
    assert results.failed == 0


def test_words_are_axes_of_any_size():
    check_shape(torch.zeros(2, 7, 768), ("batch", "length", 768), name="hidden")


@pytest.mark.parametrize("shape", [(2, 7), (2, 7, 767), (2, 7, 768, 1)])
def test_a_wrong_shape_says_what_was_given_and_expected(shape):
    with pytest.raises(ValueError, match=r"hidden has shape \(2, 7.*\), expected \(batch, length, 768\)\."):
        check_shape(torch.zeros(shape), ("batch", "length", 768), name="hidden")


def test_without_a_mask_everything_is_text():
    assert text_mask(torch.tensor([[5, 0]]), None).tolist() == [[True, True]]


def test_an_empty_text_counts_as_one_token():
    given = torch.tensor([[1, 1], [0, 0]])
    assert text_mask(torch.tensor([[5, 6], [0, 0]]), given).tolist() == [[True, True], [True, False]]
    assert given.tolist() == [[1, 1], [0, 0]]  # the caller's mask is as it was


def test_padding_before_text_is_refused():
    with pytest.raises(ValueError, match="padding before text; expected padding on the right"):
        text_mask(torch.tensor([[0, 5]]), torch.tensor([[0, 1]]))


def test_a_batch_without_columns_is_refused():
    with pytest.raises(ValueError, match="length 0, expected at least one column"):
        text_mask(torch.zeros(2, 0, dtype=torch.long), None)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"attention_mask has shape \(1, 3\), expected \(1, 2\)"):
        text_mask(torch.tensor([[5, 6]]), torch.ones(1, 3))
