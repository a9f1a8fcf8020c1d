"""Augmentation: what the text means, that it depends on rows alone, and that boxes and masks go with their pictures."""

import dataclasses
import sys
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
import torch
from quintet.finetune import image_augmentation
from quintet.finetune.image_augmentation import (
    MEANINGS,
    UNLABELLED,
    Augmentation,
    Objects,
    PictureBatch,
    augment_pictures,
    parse_augmentation,
)
from quintet.finetune.row_draws import RowDraws
from quintet.pipelines.errors import MissingExtraError, QuintetError, ShapeError, UsageError

LABELLED = "flip,crop,shift,scale,rotate,colour,hue,erase,randaugment"


def pictures(count, *, side=16, channels=3, dtype=torch.uint8):
    values = torch.randint(0, 256, (count, channels, side, side), generator=torch.Generator().manual_seed(0))
    return values.to(torch.uint8) if dtype == torch.uint8 else (values / 255).to(dtype)


def augmented(text, batch, *, seed=0, epoch=0, **options):
    return augment_pictures(parse_augmentation(text), batch, seed=seed, epoch=epoch, **options)


# --- the text -----------------------------------------------------------------------------------------------------


def test_a_name_alone_has_its_usual_strength():
    assert parse_augmentation("flip, crop=0.25 ,rotate") == Augmentation(flip=0.5, crop=0.25, rotate=15.0)
    assert parse_augmentation("none") == Augmentation()


@pytest.mark.parametrize("text", ["flip,crop=0.25,colour", "randaugment", "none", LABELLED, "mosaic=0.125"])
def test_a_description_reads_back_as_its_text(text):
    assert str(parse_augmentation(text)) == text


def test_every_operation_is_described_and_changes_something():
    assert list(MEANINGS) == [field.name for field in dataclasses.fields(Augmentation)]
    assert len(MEANINGS) == 12
    boxes = [Objects(torch.tensor([[2.0, 2.0, 9.0, 9.0]]), torch.tensor([1]))] * 8
    for name in MEANINGS:
        batch = PictureBatch(pictures(8), np.arange(8), boxes if name == "mosaic" else None)
        given = batch.pictures.clone()
        assert not torch.equal(augmented(name, batch).pictures, given), name
        assert torch.equal(batch.pictures, given), f"{name} changes what it was given"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("flop", "unknown operation of --augmentation 'flop'; did you mean flip? Use for instance flip,crop."),
        ("color", "unknown operation of --augmentation 'color'; did you mean colour?"),
        ("flip,,crop", "unknown operation of --augmentation ''"),
        ("flip,flip", "--augmentation flip,flip names flip twice; leave one of them out"),
        ("crop=big", "--augmentation crop=big is no strength; expected a number (padding before a window"),
        (
            "flip=2",
            "--augmentation flip=2 is out of range; expected a number from 0 to 1 (probability of a mirror image",
        ),
        ("rotate=nan", "--augmentation rotate=nan is out of range"),
    ],
)
def test_a_wrong_text_says_what_is_expected(text, sentence):
    with pytest.raises(UsageError) as caught:
        parse_augmentation(text)
    assert sentence in str(caught.value)


# --- rows alone ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_augmented_the_same_in_any_batch(dtype, channels):
    """Bit for bit: alone, in the whole batch, and in a shuffled part of it."""
    given = pictures(40, channels=channels, dtype=dtype)
    rows = np.arange(100, 140)
    whole = augmented(LABELLED, PictureBatch(given, rows)).pictures
    order = np.random.default_rng(0).permutation(40)[:13]
    part = augmented(LABELLED, PictureBatch(given[order], rows[order])).pictures
    assert torch.equal(part, whole[order])
    alone = [augmented(LABELLED, PictureBatch(given[[at]], rows[[at]])).pictures[0] for at in range(40)]
    assert torch.equal(torch.stack(alone), whole)


@pytest.mark.parametrize("text", ["mixup,cutmix", "cutmix"])
def test_partners_follow_from_the_rows_of_the_step(text):
    given, rows = pictures(12), np.arange(50, 62)
    first = augmented(text, PictureBatch(given, rows))
    order = np.random.default_rng(1).permutation(12)
    second = augmented(text, PictureBatch(given[order], rows[order]))
    assert torch.equal(second.pictures, first.pictures[order])
    assert torch.equal(second.shares, first.shares[order])
    assert np.array_equal(rows[order][second.partners], rows[first.partners][order])
    assert (first.partners != torch.arange(12)).all()


def test_seed_epoch_and_row_each_change_the_picture():
    one = pictures(1)
    variants = {
        augmented("crop,colour", PictureBatch(one, np.array([row])), seed=seed, epoch=epoch).pictures.numpy().tobytes()
        for seed, epoch, row in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)]
    }
    assert len(variants) == 5


def test_draws_are_uniform_and_independent():
    draws = RowDraws(7, 2, np.arange(20_000))
    numbers = np.concatenate([draws.uniform("flip", 2), draws.uniform("crop", 1)], axis=1)
    assert numbers.min() >= 0 and numbers.max() < 1
    counts = np.stack([np.histogram(column, bins=16, range=(0, 1))[0] for column in numbers.T])
    assert (((counts - 1250) ** 2 / 1250).sum(axis=1) < 37.7).all()  # chi-squared, 15 degrees of freedom, p = 0.001
    assert np.abs(np.corrcoef(numbers.T) - np.eye(3)).max() < 0.025
    assert abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.025
    assert np.array_equal(draws.uniform("flip", 5)[:, :2], draws.uniform("flip", 2))


def test_partners_are_drawn_evenly_among_the_others():
    places = np.stack([RowDraws(0, epoch, np.arange(5)).others("partner", 1)[:, 0] for epoch in range(4000)])
    for place in range(5):
        counts = np.bincount(places[:, place], minlength=5)
        assert counts[place] == 0
        assert np.abs(np.delete(counts, place) - 1000).max() < 120


# --- boxes and masks with the picture -----------------------------------------------------------------------------


def marked(side=32, value=1.0):
    """A picture with one bright rectangle, its box and its mask."""
    picture, mask = torch.zeros(1, side, side), torch.zeros(side, side, dtype=torch.int64)
    picture[:, 8:20, 10:18] = value
    mask[8:20, 10:18] = 3
    return picture, torch.tensor([[10.0, 8.0, 8.0, 12.0]]), mask


def marked_batch(count, side=32):
    picture, boxes, mask = marked(side)
    return PictureBatch(
        picture.expand(count, -1, -1, -1).clone(),
        np.arange(count),
        [Objects(boxes, torch.tensor([5]))] * count,
        mask.expand(count, -1, -1).clone(),
    )


def extent(is_bright):
    """The box around the pixels that are set: x, y, width, height."""
    rows, columns = np.flatnonzero(is_bright.any(1)), np.flatnonzero(is_bright.any(0))
    return [columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]


@pytest.mark.parametrize("text", ["flip", "crop", "shift=0.2", "flip,crop=0.2"])
def test_boxes_and_masks_follow_moves_exactly(text):
    found = augmented(text, marked_batch(32))
    changed = 0
    for picture, objects, mask in zip(found.pictures, found.objects, found.masks, strict=True):
        changed += objects.boxes.tolist() != [[10, 8, 8, 12]]
        assert objects.boxes.tolist() == [extent(picture[0].numpy() > 0.5)]
        assert objects.categories.tolist() == [5]
        assert torch.equal(mask == 3, picture[0] > 0.5)
    assert changed >= 10


@pytest.mark.parametrize(("text", "slack"), [("scale=0.4", 1.0), ("rotate=20", 1.5), ("flip,rotate,scale,shift", 1.5)])
def test_boxes_enclose_what_was_turned_or_scaled(text, slack):
    """The box of the warped rectangle's corners is the extent of the warped pixels, up to the blur of an edge."""
    found = augmented(text, marked_batch(32))
    for picture, objects, mask in zip(found.pictures, found.objects, found.masks, strict=True):
        assert np.abs(np.array(objects.boxes.tolist()[0]) - extent(picture[0].numpy() > 0.5)).max() <= slack
        bright, labelled = picture[0] > 0.5, mask == 3
        assert (bright != labelled).float().mean() < 0.01


def test_a_quarter_turn_moves_pixels_boxes_and_masks_as_torch_does():
    """A map with known answer: rot90 turns against the clock."""
    from quintet.finetune.picture_geometry import warped

    batch = marked_batch(1)
    matrix = np.array([[[0.0, 1.0, 0.0], [-1.0, 0.0, 32.0], [0.0, 0.0, 1.0]]])
    found, objects, masks = warped(batch.pictures, tuple(batch.objects), batch.masks, matrix)
    assert torch.allclose(found, torch.rot90(batch.pictures, 1, (2, 3)), atol=1e-5)
    assert torch.equal(masks, torch.rot90(batch.masks, 1, (1, 2)))
    assert objects[0].boxes.tolist() == [extent(found[0, 0].numpy() > 0.5)]


def test_what_no_pixel_falls_on_is_filled_and_unlabelled():
    batch = dataclasses.replace(marked_batch(8), pictures=torch.full((8, 1, 32, 32), 0.75))
    found = augmented("shift=0.5", batch, fill=0.25)
    is_outside = found.masks == UNLABELLED
    assert 0.1 < is_outside.float().mean() < 0.6
    assert torch.equal(found.pictures[:, 0], torch.where(is_outside, 0.25, 0.75))


def test_what_is_turned_out_of_sight_is_filled_too():
    batch = dataclasses.replace(marked_batch(8), pictures=torch.full((8, 1, 32, 32), 0.75))
    found = augmented("rotate=60", batch, fill=0.25)
    is_outside = found.masks == UNLABELLED
    # a pixel at the edge is a mixture of both; all others are one of them
    is_mixed = (found.pictures[:, 0] - torch.where(is_outside, 0.25, 0.75)).abs() > 1e-5
    assert is_outside.any()
    assert is_mixed.float().mean() < 0.15
    assert found.pictures.min() >= 0.25 - 1e-5 and found.pictures.max() <= 0.75 + 1e-5


def test_boxes_are_clipped_and_dropped_when_too_little_is_left():
    from quintet.finetune.picture_geometry import clipped_objects

    boxes = torch.tensor(
        [[-6.0, 2.0, 10.0, 4.0], [-9.0, 2.0, 10.0, 4.0], [20.0, 30.0, 4.0, 2.5], [31.5, 0.0, 1.0, 9.0]]
    )
    kept = clipped_objects(Objects(boxes, torch.arange(4)), (0, 0, 32, 32))
    # 40 % of the first are left; 10 % of the second; the third ends at 32; of the last half a pixel's width
    assert kept.boxes.tolist() == [[0.0, 2.0, 4.0, 4.0], [20.0, 30.0, 4.0, 2.0]]
    assert kept.categories.tolist() == [0, 2]


def test_pictures_without_objects_stay_without():
    empty = Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    found = augmented("rotate,mosaic=1", PictureBatch(pictures(4), np.arange(4), [empty] * 4))
    assert [tuple(each.boxes.shape) for each in found.objects] == [(0, 4)] * 4
    assert [tuple(each.categories.shape) for each in found.objects] == [(0,)] * 4


# --- values -------------------------------------------------------------------------------------------------------


def test_a_flip_is_the_mirror_image_and_its_share_is_kept():
    given = pictures(400, side=8)
    found = augmented("flip=0.3", PictureBatch(given, np.arange(400))).pictures
    is_mirrored = (found == given.flip(3)).flatten(1).all(1)
    assert torch.equal(found[~is_mirrored], given[~is_mirrored])
    assert 90 <= int(is_mirrored.sum()) <= 150  # 120 expected, standard deviation 9


def test_every_window_of_the_padded_picture_is_drawn():
    given = pictures(1, side=8).expand(600, -1, -1, -1)
    found = augmented("crop=0.25", PictureBatch(given, np.arange(600))).pictures
    padded = torch.nn.functional.pad(given[0], (2, 2, 2, 2))
    windows = {
        padded[:, top : top + 8, left : left + 8].numpy().tobytes(): (top, left)
        for top in range(5)
        for left in range(5)
    }
    assert {windows[each.numpy().tobytes()] for each in found} == set(windows.values())


def test_erased_rectangles_have_the_drawn_area_and_one_colour():
    given = pictures(300, side=32)
    masks = torch.ones(300, 32, 32, dtype=torch.uint8)
    found = augmented("erase", PictureBatch(given, np.arange(300), masks=masks))
    is_hidden = found.masks == UNLABELLED
    areas = is_hidden.float().mean(dim=(1, 2)).numpy()
    ratios = []
    assert 120 <= (areas > 0).sum() <= 180
    assert areas[areas > 0].min() >= 0.015 and areas.max() <= 0.42
    for picture, hidden, before in zip(found.pictures, is_hidden, given, strict=True):
        assert torch.equal(picture[:, ~hidden], before[:, ~hidden])
        if hidden.any():
            assert (picture[:, hidden] == picture[:, hidden][:, :1]).all()
            x, y, width, height = extent(hidden.numpy())
            assert hidden[y : y + height, x : x + width].all()
            ratios.append(height / width)
    assert 0.2 < min(ratios) < 0.5 and 2 < max(ratios) < 5  # 0.3 to 1 / 0.3, in whole pixels


def test_mixup_is_the_weighted_mean():
    given = pictures(16, dtype=torch.float64)
    found = augmented("mixup=1", PictureBatch(given, np.arange(16)))
    share = found.shares.double()[:, None, None, None]
    assert torch.allclose(found.pictures, share * given + (1 - share) * given[found.partners], atol=1e-6)
    assert found.shares.min() > 0 and found.shares.max() < 1 and found.shares.std() > 0.15


def test_shares_have_the_beta_distribution():
    from scipy import stats

    shares = augmented("mixup=0.4", PictureBatch(pictures(2000, side=1), np.arange(2000))).shares
    assert stats.kstest(shares.numpy(), stats.beta(0.4, 0.4).cdf).pvalue > 0.01


def test_cutmix_counts_the_pixels_that_are_left():
    given = torch.arange(16, dtype=torch.uint8)[:, None, None, None].expand(16, 1, 20, 20)
    found = augmented("cutmix", PictureBatch(given, np.arange(16)))
    for place, picture in enumerate(found.pictures):
        assert set(picture.unique().tolist()) <= {place, int(found.partners[place])}
        assert (picture == place).float().mean() == pytest.approx(float(found.shares[place]))
    assert 0.2 < found.shares.mean() < 0.8


def test_a_mosaic_shows_four_pictures_with_their_boxes_and_masks():
    """Each picture has a colour of its own, one brighter square, its box and its mask."""
    count, side = 6, 48
    given, masks = torch.zeros(count, 3, side, side), torch.zeros(count, side, side, dtype=torch.int64)
    for place in range(count):
        given[place, 0] = (place + 1) / 10
        masks[place] = place
        given[place, 1, 12:36, 12:36] = 1
    objects = [Objects(torch.tensor([[12.0, 12.0, 24.0, 24.0]]), torch.tensor([place])) for place in range(count)]
    found = augmented("mosaic=1", PictureBatch(given, np.arange(count), objects, masks))
    seen = 0
    for picture, mask, each in zip(found.pictures, found.masks, found.objects, strict=True):
        assert torch.allclose(picture[0], (mask + 1) / 10, atol=1e-4)
        drawn = torch.zeros(side, side, dtype=torch.bool)
        for (x, y, width, height), category in zip(each.boxes.tolist(), each.categories.tolist(), strict=True):
            inside = torch.zeros_like(drawn)
            inside[round(y) : round(y + height), round(x) : round(x + width)] = True
            assert (mask[inside] == category).float().mean() > 0.97
            drawn |= inside
            seen += 1
        # what is bright and in no box belongs to objects of which too little was left
        assert ((picture[1] > 0.5) & ~drawn).float().mean() < 0.08
        assert (drawn & (picture[1] < 0.5)).float().mean() < 0.03
    assert seen >= 15


def test_the_pictures_of_a_mosaic_meet_with_their_inner_corners():
    """The colours of a picture say where in it a pixel is from: red how far right, green how far down."""
    side = 64
    ramp = (torch.arange(side) + 0.5) / side
    place = torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side), torch.zeros(side, side)])
    masks = torch.arange(4)[:, None, None].expand(4, side, side)
    found = augmented("mosaic=1", PictureBatch(place.expand(4, -1, -1, -1), np.arange(4), masks=masks))
    for picture in found.pictures:
        # where red falls from 1 to 0, or green does, two pictures meet
        across = int((picture[0, 0, 1:] - picture[0, 0, :-1]).argmin()) + 1
        down = int((picture[1, 1:, 0] - picture[1, :-1, 0]).argmin()) + 1
        for y, x, want in (
            (down - 1, across - 1, (1, 1)),
            (down - 1, across, (0, 1)),
            (down, across - 1, (1, 0)),
            (down, across, (0, 0)),
        ):
            assert picture[:2, y, x].tolist() == pytest.approx(want, abs=0.06)
        assert 16 <= across <= 48 and 16 <= down <= 48


def test_floats_and_bytes_are_changed_alike():
    whole, text = pictures(24), "flip,crop,shift,scale,rotate,colour,hue,erase"
    as_bytes = augmented(text, PictureBatch(whole, np.arange(24))).pictures.float() / 255
    as_floats = augmented(text, PictureBatch(whole / 255, np.arange(24))).pictures
    assert as_floats.dtype == torch.float32
    assert (as_bytes - as_floats).abs().max() < 1.1 / 255  # rounded twice, after the colours and after the warp


# --- what is wrong ------------------------------------------------------------------------------------------------


def one_object():
    return [Objects(torch.tensor([[1.0, 1.0, 5.0, 5.0]]), torch.tensor([0]))] * 2


@pytest.mark.parametrize(
    ("text", "batch", "sentence"),
    [
        ("mixup", lambda: PictureBatch(pictures(2), np.arange(2), one_object()), "use mosaic instead"),
        ("mosaic", lambda: PictureBatch(pictures(2), np.arange(2)), "have one label each; use cutmix instead"),
        ("colour", lambda: PictureBatch(pictures(2).float(), np.arange(2)), "augment before they are normalised"),
        ("erase=1", lambda: PictureBatch(pictures(2).float() - 1, np.arange(2)), "values from -1 to 254"),
        ("flip", lambda: PictureBatch(pictures(2), np.arange(3)), "3 row numbers for 2 pictures"),
        ("flip", lambda: PictureBatch(pictures(2)[0], np.arange(3)), "expected (batch, channels, height, width)"),
        ("flip", lambda: PictureBatch(pictures(2).long(), np.arange(2)), "pictures of type torch.int64"),
        ("flip", lambda: PictureBatch(pictures(2), np.arange(2), one_object()[:1]), "objects of 1 pictures for 2"),
        (
            "flip",
            lambda: PictureBatch(pictures(2), np.arange(2), masks=torch.zeros(2, 8, 8)),
            "masks of shape (2, 8, 8) for pictures of shape (2, 3, 16, 16); expected the same size",
        ),
    ],
)
def test_what_does_not_fit_is_told(text, batch, sentence):
    with pytest.raises(QuintetError) as caught:
        augmented(text, batch())
    assert isinstance(caught.value, UsageError | ShapeError)
    assert sentence in str(caught.value)


def test_without_kornia_the_install_line_is_given(monkeypatch):
    monkeypatch.setattr(image_augmentation, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'install it with: python -m pip install "quintet\[vision\]"'):
        augmented("flip", PictureBatch(pictures(2), np.arange(2)))
    unchanged = augmented("none", PictureBatch(pictures(2), np.arange(2))).pictures
    assert torch.equal(unchanged, pictures(2))
    assert isinstance(sys.modules["quintet.finetune.image_augmentation"].__spec__, ModuleSpec)
