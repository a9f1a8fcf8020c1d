"""U-Net: weights counted, the way down and up written out, pictures of any size, and the loss of its adapter."""

import pytest
import torch
from quintet.pipelines.models.modeling_unet import UNetConfig, UNetForSemanticSegmentation
from quintet.pipelines.models.unet import PUBLISHED, UNet
from torch.nn import functional


def network(*, channels=1, num_labels=2, base_filters=3, levels=2, batch_norm=False):
    torch.manual_seed(0)
    return UNet(
        channels=channels,
        num_labels=num_labels,
        base_filters=base_filters,
        levels=levels,
        batch_norm=batch_norm,
        dropout=0.5,
    ).eval()


def by_formula(base, levels, channels, labels):
    """Weights with biases: 3 x 3 convolutions in pairs, 2 x 2 ones that enlarge, and the vote of each pixel."""
    sizes = [base * 2**level for level in range(levels + 1)]
    down = sum(9 * (a + b) * b + 2 * b for a, b in zip([channels, *sizes], sizes, strict=False))
    up = sum(4 * 2 * b * b + b + 9 * (2 * b + b) * b + 2 * b for b in sizes[:-1])
    return down + up + (base + 1) * labels


def test_parameter_count_of_the_paper_s_sizes():
    with torch.device("meta"):
        model = network(**PUBLISHED)
    count = sum(weight.numel() for weight in model.parameters())
    assert count == by_formula(64, 4, 1, 2) == 31_030_658


def test_way_down_and_way_up_by_hand():
    model = network(levels=2)
    state = model.state_dict()

    def twice(key, maps):
        for place in (0, 2):
            weight, bias = state[f"{key}.{place}.weight"], state[f"{key}.{place}.bias"]
            maps = functional.conv2d(maps, weight, bias, padding=1).relu()
        return maps

    def larger(index, maps):
        weight, bias = state[f"enlarge.{index}.weight"], state[f"enlarge.{index}.bias"]
        result = torch.zeros(len(maps), weight.shape[1], 2 * maps.shape[2], 2 * maps.shape[3])
        for row in (0, 1):
            for column in (0, 1):
                result[:, :, row::2, column::2] = torch.einsum("bihw,io->bohw", maps, weight[:, :, row, column])
        return result + bias[:, None, None]

    picture = torch.randn(2, 1, 8, 12)
    top = twice("down.0", picture)
    middle = twice("down.1", functional.max_pool2d(top, 2))
    bottom = twice("down.2", functional.max_pool2d(middle, 2))
    middle = twice("up.0", torch.cat([middle, larger(0, bottom)], 1))
    top = twice("up.1", torch.cat([top, larger(1, middle)], 1))
    expected = torch.einsum("bihw,oi->bohw", top, state["classifier.weight"][:, :, 0, 0])
    expected = expected + state["classifier.bias"][:, None, None]
    torch.testing.assert_close(model(picture), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 8), (7, 13)])
def test_a_picture_of_any_size_is_continued_by_its_border(height, width):
    model = network(batch_norm=True)
    picture = torch.randn(2, 1, height, width)
    rows, columns = (torch.arange(-(-side // 4) * 4).clamp(max=side - 1) for side in (height, width))
    continued = picture[:, :, rows][:, :, :, columns]
    logits = model(picture)
    assert logits.shape == (2, 2, height, width)
    torch.testing.assert_close(logits, model(continued)[:, :, :height, :width])


def adapter(**changes):
    torch.manual_seed(0)
    config = UNetConfig(
        channels=3, base_filters=2, levels=1, batch_norm=True, dropout=0.0, id2label={0: "a", 1: "b", 2: "c"}, **changes
    )
    return UNetForSemanticSegmentation(config).eval()


def test_the_loss_is_the_mean_over_labelled_pixels():
    model = adapter()
    pictures, labels = torch.randn(2, 3, 6, 5), torch.randint(0, 3, (2, 6, 5))
    labels[0, :3] = labels[1, 2, 2] = 255
    output = model(pixel_values=pictures, labels=labels)
    chances = output.logits.log_softmax(1)
    losses = [
        -chances[picture, labels[picture, row, column], row, column]
        for picture in range(2)
        for row in range(6)
        for column in range(5)
        if labels[picture, row, column] != 255
    ]
    assert len(losses) == 60 - 16
    torch.testing.assert_close(output.loss, torch.stack(losses).mean())
    assert type(output).__name__ == "SemanticSegmenterOutput"


def test_without_a_labelled_pixel_the_loss_is_zero_and_changes_nothing():
    model = adapter().train()
    loss = model(torch.randn(1, 3, 4, 4), labels=torch.full((1, 4, 4), 255)).loss
    loss.backward()
    assert loss == 0
    assert all(not weight.grad.any() for weight in model.parameters())


def test_another_class_can_stand_for_unlabelled():
    labels = torch.randint(0, 2, (1, 4, 4))
    labels[0, 0] = 2
    model, pictures = adapter(semantic_loss_ignore_index=2), torch.randn(1, 3, 4, 4)
    expected = adapter()(pictures, labels=labels.masked_fill(labels == 2, 255)).loss
    torch.testing.assert_close(model(pictures, labels=labels).loss, expected)


def test_masks_of_another_size_are_refused():
    with pytest.raises(
        ValueError, match=r"labels have shape \(1, 4, 5\), expected \(1, 4, 4\): a class for each pixel"
    ):
        adapter()(torch.randn(1, 3, 4, 4), labels=torch.zeros(1, 4, 5, dtype=torch.long))
