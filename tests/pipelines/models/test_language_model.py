"""The recurrent language models, against torch's own stacked layers, and as decoders that carry a state."""

import subprocess
import sys

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.decoding import StatefulLanguageModel
from quintet.pipelines.models import build_model
from quintet.pipelines.models.language_model import LockedDropout, RecurrentLanguageModel
from quintet.pipelines.saving import save_checkpoint

SIZES = {"vocab_size": 11, "embedding_size": 6, "hidden_size": 5, "layers": 2, "dropout": 0.0, "padding_id": 0}


def network(cell="lstm", *, tied=False, seed=0, **changes):
    torch.manual_seed(seed)
    return RecurrentLanguageModel(cell=cell, tied=tied, **{**SIZES, **changes}).eval()


def texts(batch=3, length=7):
    return torch.randint(1, 11, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("cell", "oracle"), [("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)])
def test_it_is_torch_s_stack_of_layers_between_two_tables(cell, oracle):
    model = network(cell)
    stack = oracle(6, 5, num_layers=2, batch_first=True)
    for number, layer in enumerate(model.layers):
        for name, weight in layer.named_parameters():
            getattr(stack, name.replace("l0", f"l{number}")).data.copy_(weight)
    hidden, _ = stack(model.embedding(texts()))
    torch.testing.assert_close(model(texts()), model.output(hidden), atol=1e-6, rtol=0)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_reading_step_by_step_gives_what_reading_at_once_gives(cell):
    model, ids = network(cell), texts()
    assert isinstance(model, StatefulLanguageModel)
    together = model(ids)
    logits, state = model.step(ids[:, :3], model.start(3))
    torch.testing.assert_close(logits, together[:, 2], atol=1e-6, rtol=0)
    for place in range(3, 7):
        logits, state = model.step(ids[:, place : place + 1], state)
        torch.testing.assert_close(logits, together[:, place], atol=1e-6, rtol=0)


def test_tied_weights_are_counted_once_and_the_last_layer_has_the_size_of_the_vectors():
    """Untied: vectors 11·6, layers 4·5·(6+5+2) and 4·5·(5+5+2), output 11·5 + 11. Tied: no output, 11 biases."""
    assert sum(weight.numel() for weight in network().parameters()) == 66 + 260 + 240 + 66
    tied = network(tied=True)
    assert sum(weight.numel() for weight in tied.parameters()) == 66 + 260 + 4 * 6 * (5 + 6 + 2) + 11
    features, _ = tied.read(texts(), tied.start(3))
    torch.testing.assert_close(tied(texts()), features @ tied.embedding.weight.T + tied.bias)


def test_an_unknown_cell_is_refused():
    with pytest.raises(ValueError, match="cell is 'rnn', expected one of lstm, gru"):
        network("rnn")


def test_dropout_leaves_out_the_same_features_all_through_a_text_and_others_in_the_next():
    dropout, hidden = LockedDropout(0.5).train(), torch.ones(4, 9, 50)
    torch.manual_seed(0)
    kept = dropout(hidden)
    assert torch.equal(kept, kept[:, :1].expand_as(kept)) and set(kept.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(kept[0], kept[1])
    assert torch.equal(dropout.eval()(hidden), hidden)


def adapter(tied=False):
    torch.manual_seed(0)
    arguments = {"embedding_size": 6, "hidden_size": 5, "tied": tied}
    return build_model(
        "lstm-lm", vocab_size=40, labels=None, problem_type=None, arguments=arguments, start_id=2, end_id=3
    ).eval()


def test_padding_before_a_text_changes_nothing_as_generate_wants_it():
    model, ids = adapter(), texts(2, 5)
    padded = torch.cat([torch.zeros(2, 3, dtype=torch.int64), ids], 1)
    padded[1] = torch.cat([torch.zeros(1, dtype=torch.int64), texts(1, 7)[0]])
    mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1]])
    logits = model(padded, attention_mask=mask).logits
    torch.testing.assert_close(logits[0, 3:], model(ids[:1]).logits[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(logits[1, 1:], model(padded[1:, 1:]).logits[0], atol=1e-6, rtol=0)


def test_the_loss_is_that_of_the_next_tokens():
    model, ids = adapter(), texts()
    labels = ids.clone()
    labels[0, 4:] = -100
    logits = model(ids).logits.log_softmax(-1)
    wanted = [-logits[row, place, ids[row, place + 1]] for row in range(3) for place in range(3 if row == 0 else 6)]
    torch.testing.assert_close(model(ids, labels=labels).loss, torch.stack(wanted).mean())


def test_plain_transformers_writes_with_it_as_we_do(tmp_path):
    """In a process that cannot import Quintet, a batch of prompts of different length."""
    tokenizer = train_tokenizer(["To be, or not to be: that is the question."], "characters", 40, None)
    torch.manual_seed(0)
    model = build_model(
        "lstm-lm",
        vocab_size=tokenizer.vocab_size,
        labels=None,
        problem_type=None,
        arguments={"embedding_size": 12, "hidden_size": 16},
        start_id=tokenizer.start_id,
        end_id=tokenizer.end_id,
    )
    save_checkpoint(model, tokenizer, tmp_path / "lm", task="text-generation")
    code = (
        "import sys; sys.modules['quintet'] = None\n"
        "from transformers import pipeline\n"
        f"write = pipeline('text-generation', model={str(tmp_path / 'lm')!r}, trust_remote_code=True)\n"
        "for answer in write(['To be', 'or'], max_new_tokens=12, do_sample=False, batch_size=2):\n"
        "    print(repr(answer[0]['generated_text']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import quintet

    write = quintet.pipeline("text-generation", model=str(tmp_path / "lm"))
    ours = write(["To be", "or"], max_new_tokens=12, do_sample=False)
    assert done.stdout.splitlines() == [repr(answer[0]["generated_text"]) for answer in ours]
