"""Operations on colours against kornia's own and Pillow's, one at a time."""

import numpy as np
import pytest
import torch
from kornia import enhance
from PIL import Image, ImageEnhance, ImageOps
from quintet.finetune import picture_colours
from quintet.finetune.image_augmentation import Augmentation
from quintet.finetune.randaugment import LARGEST_MAGNITUDE, RANGES, drawn_operations
from quintet.finetune.row_draws import RowDraws

COUNT = 6


def pictures(*, channels=3, side=12):
    values = torch.randint(0, 200, (COUNT, channels, side, side), generator=torch.Generator().manual_seed(3))
    return (values + 20).to(torch.uint8)


def jittered(values, *, brightness=1.0, contrast=1.0, saturation=1.0, turns=0.0):
    return picture_colours._jittered(values, *(np.full(COUNT, x) for x in (brightness, contrast, saturation, turns)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [0.3, 1.4])
def test_brightness_contrast_and_saturation_are_those_of_kornia(channels, factor):
    values = pictures(channels=channels) / 255
    of_kornia = {
        "brightness": enhance.adjust_brightness_accumulative(values, factor),
        "contrast": enhance.adjust_contrast_with_mean_subtraction(values, factor),
        "saturation": enhance.adjust_saturation_with_gray_subtraction(values, factor),
    }
    for name, expected in of_kornia.items():
        assert torch.allclose(jittered(values, **{name: factor}), expected, atol=1e-5), name


def test_brightness_acts_on_what_contrast_made():
    values = 0.3 + 0.3 * pictures() / 255
    expected = 1.2 * enhance.adjust_contrast_with_mean_subtraction(values, 0.5)
    assert torch.allclose(jittered(values, brightness=1.2, contrast=0.5), expected, atol=1e-5)


def test_hue_turns_colours_and_leaves_grey_and_luminance():
    values = 0.3 + 0.4 * pictures() / 255
    back = jittered(jittered(values, turns=0.05), turns=-0.05)
    turned = jittered(values, turns=0.05)
    assert torch.allclose(back, values, atol=1e-5)
    assert (turned - values).abs().max() > 0.02
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert torch.allclose((turned * weights).sum(1), (values * weights).sum(1), atol=1e-5)
    grey = torch.full((COUNT, 3, 4, 4), 0.4)
    assert torch.allclose(jittered(grey, turns=0.3), grey, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "strength", "of_pillow"),
    [
        ("autocontrast", 0.0, ImageOps.autocontrast),
        ("equalize", 0.0, ImageOps.equalize),
        ("posterize", 3.0, lambda picture: ImageOps.posterize(picture, 5)),
        ("solarize", 0.4, lambda picture: ImageOps.solarize(picture, 153)),
        ("sharpness", 0.7, lambda picture: ImageEnhance.Sharpness(picture).enhance(1.7)),
    ],
)
def test_what_is_not_linear_is_as_in_pillow(name, strength, of_pillow):
    given = pictures(side=40)
    change = picture_colours._CHANGES[name]
    found = change(given / 255, torch.full((COUNT,), strength)).clamp(0, 1).mul(255).round()
    expected = np.stack([np.asarray(of_pillow(Image.fromarray(each.permute(1, 2, 0).numpy()))) for each in given])
    assert np.abs(found.permute(0, 2, 3, 1).numpy() - expected).max() <= 1  # Pillow cuts off where we round


def test_a_channel_of_one_value_is_not_stretched():
    flat = torch.full((2, 1, 5, 5), 0.7)
    assert torch.equal(picture_colours._autocontrast(flat, torch.zeros(2)), flat)


def test_tiny_pictures_pass_every_operation():
    given = torch.full((200, 3, 1, 1), 90, dtype=torch.uint8)
    found = picture_colours.recoloured(given, Augmentation(randaugment=30), RowDraws(0, 0, np.arange(200)))
    assert found.shape == given.shape


def test_randaugment_draws_each_operation_as_often_and_as_strong_as_it_should():
    layers = drawn_operations(15, RowDraws(0, 0, np.arange(14_000)))
    assert len(layers) == 2
    assert len(RANGES) == 14
    for layer in layers:
        for name, (reach, has_sign) in RANGES.items():
            assert 850 < layer.has(name).sum() < 1150, name
            strengths = layer.strengths[layer.has(name)]
            assert np.allclose(np.abs(strengths), reach * 15 / LARGEST_MAGNITUDE)
            assert (strengths < 0).mean() == pytest.approx(0.5 if has_sign and reach else 0, abs=0.06)
    assert not np.array_equal(layers[0].index, layers[1].index)
