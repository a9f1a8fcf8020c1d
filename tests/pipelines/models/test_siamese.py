"""The networks for pairs of texts against the same encoder run on each text alone, and Conneau's formula by hand."""

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.checkpoints import load_checkpoint
from quintet.pipelines.errors import InputError
from quintet.pipelines.models import build_model, find_family
from quintet.pipelines.models.siamese import SiameseClassifier, split_pairs
from quintet.pipelines.saving import save_checkpoint
from quintet.pipelines.text_classification import TextClassificationPipeline

SIZES = {"embedding_size": 5, "hidden_size": 6, "layers": 1, "bidirectional": True, "pooling": "max", "dropout": 0.0}
FIRSTS = [[5, 6, 7], [8], [9, 10]]
SECONDS = [[11], [12, 13, 14, 15], [16, 17]]
TEXTS = ["the film was good", "a good film", "the soup was cold", "cold soup"]


def network(**changes):
    torch.manual_seed(0)
    sizes = {"comparison": "full", "cell": "lstm", **SIZES, **changes}
    return SiameseClassifier(vocab_size=20, num_labels=3, padding_id=0, **sizes).eval()


def batch(firsts, seconds):
    """Ids, mask and types of pairs, each (batch, length)."""
    rows = [one + other for one, other in zip(firsts, seconds, strict=True)]
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    types = torch.tensor(
        [
            [0] * len(one) + [1] * len(other) + [0] * (length - len(one) - len(other))
            for one, other in zip(firsts, seconds, strict=True)
        ]
    )
    return ids, (ids > 0).long(), types


@pytest.mark.parametrize("pooling", ["last", "max", "mean", "attention"])
@pytest.mark.parametrize("comparison", ["full", "symmetric"])
def test_a_pair_is_two_texts_read_alone_and_compared(comparison, pooling):
    model = network(comparison=comparison, pooling=pooling)
    logits = model(*batch(FIRSTS, SECONDS))
    for row, (one, other) in enumerate(zip(FIRSTS, SECONDS, strict=True)):
        u, v = (model.encode(torch.tensor([text]))[0] for text in (one, other))
        parts = [u, v, (u - v).abs(), u * v] if comparison == "full" else [(u - v).abs(), u * v]
        expected = model.classifier(torch.tanh(model.compare(torch.cat(parts))))
        torch.testing.assert_close(logits[row], expected, rtol=0, atol=1e-5)


def test_only_the_symmetric_comparison_does_without_the_order():
    there, back = batch(FIRSTS, SECONDS), batch(SECONDS, FIRSTS)
    symmetric, full = network(comparison="symmetric"), network()
    torch.testing.assert_close(symmetric(*there), symmetric(*back), rtol=0, atol=1e-5)
    assert (full(*there) - full(*back)).abs().max() > 1e-3


def test_texts_are_split_where_the_second_begins():
    ids, mask, types = batch(FIRSTS, SECONDS)
    texts, masks = split_pairs(ids, mask.bool(), types.bool(), 0)
    found = [row[: int(of_row.sum())].tolist() for row, of_row in zip(texts, masks, strict=True)]
    assert found == FIRSTS + SECONDS


def test_an_empty_text_is_one_token_of_padding():
    model = network()
    u, v = model.encode(torch.tensor([[5, 6]]))[0], model.encode(torch.tensor([[0]]))[0]
    logits = model(torch.tensor([[5, 6]]), None, torch.tensor([[0, 0]]))[0]
    expected = model.classifier(torch.tanh(model.compare(torch.cat([u, v, (u - v).abs(), u * v]))))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("comparison", "parts"), [("full", 4), ("symmetric", 2)])
def test_parameters_are_those_of_the_formula(comparison, parts):
    cell = 4 * 6 * (5 + 6 + 2)  # Hochreiter's gates with torch's two biases
    expected = 20 * 5 + 2 * cell + (parts * 12 * 12 + 12) + (12 * 3 + 3)
    assert sum(weight.numel() for weight in network(comparison=comparison).parameters()) == expected


def test_a_comparison_that_is_none_is_refused():
    with pytest.raises(ValueError, match="comparison is 'dot', expected one of full, symmetric"):
        network(comparison="dot")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    family = find_family("lstm", "text-classification", has_pairs=True)
    tokenizer = train_tokenizer(TEXTS * 3, family.tokenizer, 300, 16, has_token_types=family.has_token_types)
    torch.manual_seed(0)
    model = build_model(
        family,
        vocab_size=tokenizer.vocab_size,
        labels=("different", "same"),
        problem_type="single_label_classification",
        arguments={"embedding_size": 6, "hidden_size": 5},
    ).eval()
    folder = tmp_path_factory.mktemp("siamese") / "pairs"
    save_checkpoint(model, tokenizer, folder, labels=("different", "same"), task="text-classification")
    return folder


def scores(folder, inputs, *, light=True):
    pipe = TextClassificationPipeline.from_checkpoint(load_checkpoint(folder, light=light), top_k=None)
    return [{each["label"]: each["score"] for each in answer} for answer in pipe(inputs)]


def test_the_light_network_answers_as_the_adapter_does_also_in_windows(checkpoint):
    inputs = [{"text": one, "text_pair": other} for one, other in zip(TEXTS, TEXTS[::-1], strict=True)]
    inputs.append({"text": "the film was good " * 20, "text_pair": "cold soup"})
    light, whole = scores(checkpoint, inputs), scores(checkpoint, inputs, light=False)
    for one, other in zip(light, whole, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert len({round(answer["same"], 6) for answer in light}) == 5


def test_a_single_text_is_refused(checkpoint):
    with pytest.raises(InputError, match="checkpoint 'pairs' compares two texts, and this is one; give"):
        scores(checkpoint, ["the film was good"])
