"""AlexNet: published weights counted, the smallest picture, errors. The logits: tests/pipelines/test_conversion.py."""

import pytest
import torch
from quintet.pipelines.models import find_family
from quintet.pipelines.models.alexnet import PUBLISHED, SMALL, AlexNet

FEW = {"filters": (2, 3, 4, 3, 2), "hidden_size": 5}


def network(sizes, *, channels=3, num_labels=10, dropout=0.5):
    return AlexNet(channels=channels, num_labels=num_labels, dropout=dropout, **sizes)


def test_parameter_count_of_one_weird_trick():
    with torch.device("meta"):
        model = network(PUBLISHED, num_labels=1000)
    assert sum(weight.numel() for weight in model.parameters()) == 61_100_840


def test_the_row_of_the_family_is_the_small_form():
    row = find_family("alexnet", "image-classification")
    assert row.sizes.items() == {**SMALL, "dropout": 0.5}.items()


@pytest.mark.parametrize(("sizes", "smallest"), [(PUBLISHED, 63), (SMALL, 15)])
def test_the_smallest_picture_is_read_and_a_smaller_one_refused(sizes, smallest):
    model = network({**sizes, **FEW})
    assert model(torch.randn(1, 3, smallest, smallest + 9)).shape == (1, 10)
    with pytest.raises(ValueError, match=f"of {smallest + 9} x {smallest - 1} pixels, expected at least {smallest} on"):
        model(torch.randn(1, 3, smallest + 9, smallest - 1))
    # Without the check, this is where a maximum has nothing left to choose from.
    with pytest.raises(RuntimeError):
        model.features(torch.randn(1, 3, smallest - 1, smallest - 1))


def test_grey_pictures_of_28_pixels():
    model = network({**SMALL, **FEW}, channels=1)
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    with pytest.raises(ValueError, match=r"has shape \(2, 3, 28, 28\), expected \(batch, 1, height, width\)"):
        model(torch.randn(2, 3, 28, 28))


def test_neurons_are_left_out_in_training_only():
    torch.manual_seed(0)
    model = network({**SMALL, **FEW, "hidden_size": 40}, dropout=0.5)
    picture = torch.randn(1, 3, 32, 32)
    assert not torch.equal(model(picture), model(picture))
    model.eval()
    assert torch.equal(model(picture), model(picture))


@pytest.mark.parametrize("changes", [{"stem": (3, 1)}, {"filters": (4, 4, 4, 4)}])
def test_other_counts_of_numbers_are_refused(changes):
    with pytest.raises(ValueError, match=r"expected three numbers \(side, stride, padding\) and five"):
        network({**SMALL, **changes})
