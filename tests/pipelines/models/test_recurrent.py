"""The recurrent networks against torch's own on packed sequences, and against the equations of the cells."""

import pytest
import torch
from quintet.pipelines.models.recurrent import RecurrentClassifier, RecurrentLayer, reorder, reversing_order
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

SIZES = {"embedding_size": 5, "hidden_size": 6, "layers": 2, "bidirectional": True, "pooling": "max", "dropout": 0.0}
LENGTHS = torch.tensor([7, 3, 1, 5])
TORCH_CELLS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def network(cell="lstm", **changes):
    torch.manual_seed(0)
    return RecurrentClassifier(vocab_size=20, num_labels=3, cell=cell, padding_id=0, **{**SIZES, **changes}).eval()


def step(cell, layer, x, state):
    """One token (features,) through a cell, by the equations in torch's documentation; the new state."""
    h, c = state
    from_input = layer.weight_ih_l0 @ x + layer.bias_ih_l0
    from_state = layer.weight_hh_l0 @ h + layer.bias_hh_l0
    if cell == "rnn":
        return torch.tanh(from_input + from_state), c
    if cell == "lstm":
        i, f, g, o = (from_input + from_state).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    reset_input, update_input, new_input = from_input.chunk(3)
    reset_state, update_state, new_state = from_state.chunk(3)
    update = (update_input + update_state).sigmoid()
    new = torch.tanh(new_input + (reset_input + reset_state).sigmoid() * new_state)
    return (1 - update) * new + update * h, c


@pytest.mark.parametrize("cell", TORCH_CELLS)
def test_layer_follows_the_equations_in_both_directions(cell):
    torch.manual_seed(1)
    layer = RecurrentLayer(cell, 5, 6, bidirectional=True)
    text = torch.randn(4, 5)
    both = []
    for direction, words in ((layer.forwards, text), (layer.backwards, text.flip(0))):
        state, states = (torch.zeros(6), torch.zeros(6)), []
        for word in words:
            state = step(cell, direction, word, state)
            states.append(state[0])
        both.append(torch.stack(states))
    expected = torch.cat([both[0], both[1].flip(0)], dim=-1)
    padded = torch.cat([text, torch.full((2, 5), 7.0)])[None]
    torch.testing.assert_close(layer(padded, torch.tensor([4]))[0, :4], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", TORCH_CELLS)
def test_layers_agree_with_torch_on_packed_sequences(cell):
    ours = network(cell)
    theirs = TORCH_CELLS[cell](5, 6, num_layers=2, bidirectional=True, batch_first=True)
    copied = 0
    for index, layer in enumerate(ours.layers):
        for direction, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, f"{kind}_l{index}{suffix}").data.copy_(getattr(direction, f"{kind}_l0"))
                copied += 1
    assert copied == len(list(theirs.parameters())) == 16
    hidden = torch.randn(4, 7, 5)
    packed = pack_padded_sequence(hidden, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    for layer in ours.layers:
        hidden = layer(hidden, LENGTHS)
    inside = (torch.arange(7) < LENGTHS[:, None])[:, :, None]
    torch.testing.assert_close(hidden * inside, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_last_is_the_state_after_each_direction_s_last_token(bidirectional):
    model = network(pooling="last", layers=1, bidirectional=bidirectional)
    directions = [model.layers[0].forwards] + ([model.layers[0].backwards] if bidirectional else [])
    ids = torch.randint(1, 20, (1, 6))
    words = model.embedding(ids)
    finals = [cell(words if index == 0 else words.flip(1))[1][0][0] for index, cell in enumerate(directions)]
    torch.testing.assert_close(model(ids), model.classifier(torch.cat(finals, dim=-1)), rtol=1e-5, atol=1e-6)


def test_texts_are_reversed_within_their_length():
    hidden = torch.arange(8.0).reshape(2, 4, 1)
    order = reversing_order(torch.tensor([3, 4]), 4)
    assert reorder(hidden, order).squeeze(-1).tolist() == [[2, 1, 0, 3], [7, 6, 5, 4]]
    assert torch.equal(reorder(reorder(hidden, order), order), hidden)


def test_forget_gate_begins_open():
    cell = network("lstm").layers[0].forwards
    effective = (cell.bias_ih_l0 + cell.bias_hh_l0)[6:12]
    assert effective.tolist() == [1.0] * 6
    assert (cell.bias_ih_l0 + cell.bias_hh_l0)[:6].abs().max() < 0.9  # the others as torch draws them


def test_plain_recurrence_begins_orthogonal():
    matrix = network("rnn").layers[0].forwards.weight_hh_l0
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(6), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_parameter_count_by_formula(cell, gates):
    vocab, e, h, classes = 20, 5, 6, 3
    first = gates * (h * e + h * h + 2 * h)
    second = gates * (h * 2 * h + h * h + 2 * h)
    expected = vocab * e + 2 * first + 2 * second + 2 * h * classes + classes
    assert sum(weight.numel() for weight in network(cell).parameters()) == expected


@pytest.mark.parametrize(("argument", "value"), [("cell", "elman"), ("pooling", "median")])
def test_an_unknown_word_lists_the_known_ones(argument, value):
    with pytest.raises(ValueError, match=f"{argument} is '{value}', expected one of"):
        network(**{argument: value})
