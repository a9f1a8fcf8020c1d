"""Bidirectional attention flow against a loop over the words, torch's own LSTM and the equations of the paper."""

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.models.bidaf import IMPOSSIBLE, BidirectionalAttentionFlow
from quintet.pipelines.models.building import build_model
from quintet.pipelines.models.families import find_family

SIZES = {
    "words": 6,
    "word_size": 5,
    "byte_size": 4,
    "filters": 3,
    "kernel_size": 3,
    "hidden_size": 4,
    "dropout": 0.0,
}
PAIRS = [("Who wrote it?", "Ada wrote it, in 1843."), ("Who?", "Zürich is far"), ("Is 大元 old", "大元 (1271)")]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["any text"], "byte-words", 260, 200)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model("bidaf", vocab_size=260, labels=None, problem_type=None, arguments=SIZES).eval()


def batch_of(tokenizer, pairs):
    return tokenizer.pad(tokenizer.encode([first for first, _ in pairs], [second for _, second in pairs]))


def torch_lstm(layer):
    cell = layer.forwards
    lstm = torch.nn.LSTM(cell.input_size, cell.hidden_size, batch_first=True, bidirectional=True)
    backwards = {f"{name}_reverse": weight for name, weight in layer.backwards.state_dict().items()}
    lstm.load_state_dict({**cell.state_dict(), **backwards})
    return lambda features: lstm(features[None])[0][0]


def words_of(ids):
    """First and last token of each word: one begins at a space, at a special token, and behind one."""
    starts = [at for at, token in enumerate(ids) if token == 36 or token < 4 or (at and ids[at - 1] < 4)]
    return list(zip(starts, [*(start - 1 for start in starts[1:]), len(ids) - 1], strict=True))


def by_hand(network, ids):
    """Scores of one question and its context, word by word, equations 1 to 4 of the paper written out."""
    places, separator = words_of(ids), None
    shapes = torch.relu(network.convolution(network.bytes(torch.tensor(ids)).T[None]))[0].T  # (length, filters)
    features = []
    for number, (first, last) in enumerate(places):
        separator = number if ids[first] == 3 and separator is None else separator
        features.append(torch.cat([network.embedding.weight[0], shapes[first : last + 1].amax(0)]))
    assert separator is not None
    hidden = torch.stack(features)
    for change, gate in zip(network.highway.changes, network.highway.gates, strict=True):
        share = torch.sigmoid(gate(hidden))
        hidden = share * torch.relu(change(hidden)) + (1 - share) * hidden
    reading = torch_lstm(network.reading)
    question = reading(hidden[1:separator])
    context = reading(torch.cat([hidden[:1], hidden[separator + 1 :]]))
    attention = network.attention
    weight = torch.cat([attention.of_context.weight[0], attention.of_question.weight[0], attention.of_both])
    similarity = torch.stack(
        [torch.stack([weight @ torch.cat([one, other, one * other]) for other in question]) for one in context]
    )
    to_question = torch.stack([row.softmax(0) @ question for row in similarity])
    to_context = similarity.amax(1).softmax(0) @ context
    flow = torch.cat([context, to_question, context * to_question, context * to_context], dim=1)
    model = flow
    for layer in network.modelling:
        model = torch_lstm(layer)(model)
    ending = torch_lstm(network.ending)(model)
    scores = torch.full((len(ids), 2), IMPOSSIBLE)
    kept = [places[0], *places[separator + 1 :]]
    for number, (first, last) in enumerate(kept):
        scores[first, 0] = network.classifier["start"](torch.cat([flow[number], model[number]]))[0]
        scores[last, 1] = network.classifier["end"](torch.cat([flow[number], ending[number]]))[0]
    return scores


def test_scores_are_those_of_a_loop_over_the_words(model, tokenizer):
    batch = batch_of(tokenizer, PAIRS)
    with torch.inference_mode():
        scores = model.network(batch["input_ids"], batch["attention_mask"])
        for row, (encoded, found) in enumerate(zip(tokenizer.encode(*zip(*PAIRS, strict=True)), scores, strict=True)):
            expected = by_hand(model.network, encoded.input_ids)
            torch.testing.assert_close(found[: len(encoded)], expected, rtol=0, atol=1e-5, msg=f"pair {row}")
            assert bool((found[len(encoded) :] == IMPOSSIBLE).all())
    assert bool((scores[0] > IMPOSSIBLE).sum() == 2 * 8)  # "no answer" and Ada wrote it , in 1843 .


def test_a_window_that_begins_within_a_word_has_a_word_there(model, tokenizer):
    (encoded,) = tokenizer.encode(["Who?"], ["Zürich"])
    cut = encoded.input_ids[:8] + encoded.input_ids[10:]  # without the space and the Z
    assert cut[7] == 3
    with torch.inference_mode():
        scores = model.network(torch.tensor([cut]))[0]
    torch.testing.assert_close(scores, by_hand(model.network, cut), rtol=0, atol=1e-5)
    assert scores[8, 0] > IMPOSSIBLE


def test_a_text_without_a_separator_is_refused(model):
    with pytest.raises(ValueError, match=r"has a row without a separator, expected \[CLS\] question \[SEP\] context"):
        model.network(torch.tensor([[2, 36, 70]]))


def test_the_published_size_has_as_many_weights_as_the_layers_say():
    family = find_family("bidaf", "question-answering")
    values = {name: value for name, value in family.sizes.items() if name != "words"}
    network = BidirectionalAttentionFlow(vocab_size=260, padding_id=0, words=1, **values)  # type: ignore[arg-type]
    word, both = 200, 200

    def lstm(inputs, hidden=100):
        return 2 * 4 * hidden * (inputs + hidden + 2)

    expected = 260 * 16 + 16 * 100 * 5 + 100 + 2 * 100  # bytes, filters, the vectors of one word and the unknown one
    expected += 2 * 2 * (word * word + word)  # highway
    expected += lstm(word) + 3 * both + lstm(4 * both) + lstm(both) + lstm(both) + 2 * (5 * both + 1)
    assert sum(weight.numel() for weight in network.parameters()) == expected


def test_positions_give_the_mean_of_both_losses(model, tokenizer):
    batch = batch_of(tokenizer, PAIRS[:1])
    start = batch["input_ids"][0].tolist().index(3) + 1  # the space before Ada
    end = start + len("Ada")
    outputs = model(**batch, start_positions=torch.tensor([start]), end_positions=torch.tensor([end]))
    pairs = ((outputs.start_logits, start), (outputs.end_logits, end))
    losses = [-logits[0].log_softmax(0)[place] for logits, place in pairs]
    torch.testing.assert_close(outputs.loss, sum(losses) / 2)
    assert torch.isfinite(outputs.loss) and outputs.loss < 20
