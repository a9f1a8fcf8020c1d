"""The recurrent encoder-decoder against its equations, written out token by token."""

import pytest
import torch
from quintet.pipelines.models import build_model, find_family
from quintet.pipelines.models.seq2seq import AttentiveSeq2Seq

VOCAB, EMBEDDING, HIDDEN, PAD = 11, 6, 5, 0


def network(layers=1, dropout=0.0):
    torch.manual_seed(0)
    return AttentiveSeq2Seq(
        vocab_size=VOCAB,
        embedding_size=EMBEDDING,
        hidden_size=HIDDEN,
        layers=layers,
        dropout=dropout,
        padding_id=PAD,
    ).eval()


def cell(lstm, x, h, c):
    gates = lstm.weight_ih_l0 @ x + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
    i, f, g, o = gates.chunk(4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def by_equations(net, source, written):
    """Scores after each written token of one text, a step at a time."""
    zero = torch.zeros(HIDDEN)
    layer = net.encoder[0]
    words = [net.embedding.weight[token] for token in source]
    forwards, backwards = [], []
    h, c = zero, zero
    for word in words:
        h, c = cell(layer.forwards, word, h, c)
        forwards.append(h)
    h, c = zero, zero
    for word in reversed(words):
        h, c = cell(layer.backwards, word, h, c)
        backwards.insert(0, h)
    memory = torch.stack([torch.cat(pair) for pair in zip(forwards, backwards, strict=True)])
    first = torch.tanh(net.first_states.weight @ backwards[0] + net.first_states.bias)
    low, low_cell, up, up_cell = first.chunk(4)
    scores = []
    for token in written:
        word = net.embedding.weight[token]
        low, low_cell = cell(net.lower, word, low, low_cell)
        energies = torch.stack(
            [
                net.attention.score.weight[0]
                @ torch.tanh(
                    net.attention.query.weight @ low + net.attention.key.weight @ seen + net.attention.key.bias
                )
                for seen in memory
            ]
        )
        found = energies.softmax(0) @ memory
        up, up_cell = cell(net.upper, torch.cat([low, found]), up, up_cell)
        features = torch.tanh(net.readout.weight @ torch.cat([up, found, word]) + net.readout.bias)
        scores.append(net.embedding.weight @ features + net.scores.bias)
    return torch.stack(scores)


def test_it_computes_its_equations():
    net = network()
    with torch.no_grad():
        net.scores.bias.normal_()
    sources, written = [[3, 4, 5, 9], [7, 2]], [[0, 5, 6], [0, 8, 4]]
    ids = torch.tensor([[3, 4, 5, 9], [7, 2, PAD, PAD]])
    mask = (ids != PAD).long()
    with torch.inference_mode():
        found = net(ids, mask, torch.tensor(written))
        for row in range(2):
            torch.testing.assert_close(found[row], by_equations(net, sources[row], written[row]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("layers", [1, 2])
def test_steps_give_what_a_whole_text_gives(layers):
    net = network(layers)
    ids, written = torch.tensor([[3, 4, 5], [7, 2, 8]]), torch.tensor([[0, 5, 6, 7], [0, 8, 4, 9]])
    with torch.inference_mode():
        whole = net(ids, None, written)
        state = net.encode(ids)
        for step in range(4):
            logits, state = net.step(written[:, step : step + 1], state)
            torch.testing.assert_close(logits, whole[:, step], atol=1e-5, rtol=0)


def test_reordered_states_go_on_as_their_texts():
    net = network()
    ids, start = torch.tensor([[3, 4, 5], [7, 2, 8]]), torch.tensor([[0], [0]])
    with torch.inference_mode():
        _, state = net.step(start, net.encode(ids))
        rows = torch.tensor([1, 1, 0])
        again, _ = net.step(torch.tensor([[4], [4], [4]]), net.reorder(state, rows))
        expected, _ = net.step(torch.tensor([[4], [4]]), state)
    torch.testing.assert_close(again, expected[rows], atol=1e-6, rtol=0)


def test_the_number_of_weights():
    net = network(layers=2)
    lstm = lambda inputs: 4 * HIDDEN * (inputs + HIDDEN + 2)  # noqa: E731
    memory = 2 * HIDDEN
    expected = (
        VOCAB * EMBEDDING + VOCAB  # word vectors, and a number for each token
        + 2 * lstm(EMBEDDING) + 2 * lstm(memory)  # encoder
        + (HIDDEN + 1) * 4 * HIDDEN  # first states
        + lstm(EMBEDDING) + lstm(HIDDEN + memory)  # decoder
        + HIDDEN * HIDDEN + (memory + 1) * HIDDEN + HIDDEN  # attention
        + (HIDDEN + memory + EMBEDDING + 1) * EMBEDDING  # readout
    )  # fmt: skip
    assert sum(weight.numel() for weight in net.parameters()) == expected


def test_padding_before_text_and_other_batches_are_refused():
    net = network()
    ids = torch.tensor([[0, 3, 4]])
    with pytest.raises(ValueError, match="attention_mask has padding before text"):
        net.encode(ids, torch.tensor([[0, 1, 1]]))
    with pytest.raises(ValueError, match=r"decoder_input_ids has shape \(2, 1\), expected \(1, steps\)"):
        net(ids, None, torch.zeros(2, 1, dtype=torch.long))


def test_the_adapter_says_what_it_misses():
    model = build_model(
        find_family("lstm-seq2seq"),
        vocab_size=VOCAB,
        labels=None,
        problem_type=None,
        arguments={"embedding_size": EMBEDDING, "hidden_size": HIDDEN},
        start_id=2,
        end_id=3,
    ).eval()
    ids = torch.tensor([[3, 4]])
    with pytest.raises(ValueError, match="expected decoder_input_ids, what was written so far, or labels"):
        model(ids)
    with pytest.raises(ValueError, match="expected input_ids, the texts to read, or encoder_outputs"):
        model(decoder_input_ids=ids)
    labels = torch.tensor([[5, 6, 3, -100]])
    output = model(ids, labels=labels)
    expected = torch.nn.functional.cross_entropy(model.network(ids, None, torch.tensor([[0, 5, 6]]))[0], labels[0, :3])
    torch.testing.assert_close(output.loss, expected)
