"""A loss that ended far above where it began is told; noise and slow learning are not."""

import math

import pytest
from quintet.finetune.divergence import divergence

GUESSING = math.log(2)


def log(losses, validation=()):
    lines = [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)]
    for line, loss in zip(reversed(lines), reversed(validation), strict=False):
        line["validation"] = {"loss": loss}
    return lines


@pytest.mark.parametrize(
    ("losses", "validation", "guessing"),
    [
        ([0.7, 0.6, 0.5, 0.4], [0.6, 0.5], GUESSING),
        ([0.7] * 50 + [3.0] * 50, [2.0], GUESSING),  # bad, but no explosion
        ([0.01] * 50 + [0.2] * 50, [0.3], GUESSING),  # twenty times the beginning, and still far better than guessing
        ([0.7] * 99 + [60.0], [0.6], GUESSING),  # one bad batch
        ([400.0, 300.0], [500.0], 0.0),
        ([], [], GUESSING),
    ],
)
def test_training_that_went_well_or_merely_badly_is_not_told(losses, validation, guessing):
    assert divergence(log(losses, validation), guessing, 0.1) == ()


def test_a_training_loss_far_above_the_first_is_told_with_the_numbers():
    lines = log([0.7, *[1e6] * 18, 1e6])
    (note,) = divergence(lines, GUESSING, 3.0)
    assert note == (
        "training diverged: the training loss was 0.7 at the first step and is 1e+06 over the last tenth; "
        "give a lower --learning-rate than 3"
    )
    assert len(divergence(log([400.0, 5000.0]), 0.0, None)) == 1


def test_a_validation_loss_far_above_guessing_is_told():
    (note,) = divergence(log([0.7, 0.6, 0.5], [0.5, 13.8]), GUESSING, 0.5)
    assert note == (
        "training diverged: the validation loss is 13.8, where guessing has 0.693; "
        "give a lower --learning-rate than 0.5"
    )
    assert divergence(log([9.0, 8.0], [90.0]), 0.0, 0.5) == ()
