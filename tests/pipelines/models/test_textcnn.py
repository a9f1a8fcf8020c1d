"""The convolutional network against Kim's definition, written as loops."""

import pytest
import torch
from quintet.pipelines.models.textcnn import TextConvolutionClassifier


def network(**changes):
    torch.manual_seed(0)
    sizes = {"embedding_size": 5, "filters": 4, "kernel_sizes": (2, 3), "dropout": 0.0}
    return TextConvolutionClassifier(vocab_size=20, num_labels=3, padding_id=0, **{**sizes, **changes}).eval()


def by_definition(model, ids):
    """Logits of one text: section 2 of Kim 2014, c_i = f(w · x_{i:i+h-1} + b), the maximum over i, for each filter."""
    words = model.embedding.weight[ids]
    features = []
    for convolution in model.convolutions:
        width = convolution.kernel_size[0]
        padded = torch.cat([words, torch.zeros(max(0, width - len(words)), words.shape[1])])
        for weight, bias in zip(convolution.weight, convolution.bias, strict=True):
            answers = [
                torch.relu((weight.T * padded[place : place + width]).sum() + bias)
                for place in range(len(padded) - width + 1)
            ]
            features.append(max(answers))
    return model.classifier(torch.stack(features))


@pytest.mark.parametrize("length", [1, 2, 3, 9])
def test_logits_are_kim_s_whatever_the_length(length):
    model = network()
    ids = torch.randint(1, 20, (length,))
    padded = torch.cat([ids, torch.zeros(4, dtype=torch.long)])[None]
    mask = (torch.arange(length + 4) < length)[None]
    expected = by_definition(model, ids)
    torch.testing.assert_close(model(ids[None])[0], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model(padded, mask)[0], expected, rtol=1e-5, atol=1e-6)


def test_padding_of_any_id_is_left_out():
    model = network()
    ids, mask = torch.tensor([[4, 5, 6, 0, 0], [7, 0, 0, 0, 0]]), torch.tensor([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    torch.testing.assert_close(model(ids.masked_fill(ids == 0, 9), mask), model(ids, mask))


def test_parameter_count_of_the_paper_s_sizes():
    # Section 3.1: vectors of 300 numbers, filters of widths 3, 4, 5 with 100 each, two classes.
    model = TextConvolutionClassifier(
        vocab_size=1000,
        num_labels=2,
        embedding_size=300,
        filters=100,
        kernel_sizes=(3, 4, 5),
        dropout=0.5,
        padding_id=0,
    )
    expected = 1000 * 300 + 100 * 300 * (3 + 4 + 5) + 300 + 300 * 2 + 2
    assert sum(weight.numel() for weight in model.parameters()) == expected


@pytest.mark.parametrize("widths", [(), (0, 3)])
def test_widths_below_one_are_refused(widths):
    with pytest.raises(ValueError, match="expected one or more widths of at least 1 token"):
        network(kernel_sizes=widths)
