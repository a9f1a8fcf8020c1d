"""What every family of our own owes: the same for all of them, plain network and transformers model alike."""

import json
import os
import subprocess
import sys

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.models import FAMILIES, build_model, find_family
from quintet.pipelines.models.building import adapter_classes, build_network
from quintet.pipelines.saving import save_checkpoint

PAIRS, QUESTIONS = "/pairs", "/question-answering"
ALL = [
    f"{family.name}/{task}{PAIRS * family.reads_pairs}"
    for family in FAMILIES
    for task in family.tasks
    if not family.rewrites  # these read two texts: test_seq2seq.py
]
TEXTS = ["a gorgeous witty film", "dull", "", "very very dull and far far far too long a film", "好看的电影"]
SMALL = {
    "rnn": {"embedding_size": 6, "hidden_size": 5, "layers": 2},
    "lstm": {"embedding_size": 6, "hidden_size": 5, "layers": 2, "pooling": "attention"},
    "gru": {"embedding_size": 6, "hidden_size": 5, "pooling": "last"},
    "textcnn": {"embedding_size": 6, "filters": 4},
    "transformer": {"hidden_size": 8, "layers": 2, "heads": 2, "feed_forward_size": 12},
    "bert-tiny": {"hidden_size": 8, "heads": 2},
    "bert-mini": {"hidden_size": 8, "heads": 2},
    "bert-small": {"hidden_size": 8, "heads": 2},
    "lstm-lm": {"embedding_size": 6, "hidden_size": 5},
    "gru-lm": {"embedding_size": 6, "hidden_size": 5, "tied": True},
    "gpt2-mini": {"hidden_size": 8, "heads": 2},
    "bidaf": {"words": 10, "word_size": 6, "byte_size": 5, "filters": 4, "hidden_size": 5, "dropout": 0.0},
    "bilstm-crf": {"words": 10, "word_size": 6, "byte_size": 5, "filters": 4, "hidden_size": 5, "dropout": 0.0},
}


def row(name):
    """The family of a name such as ``lstm``, ``transformer/token-classification`` or with `PAIRS` behind it."""
    return find_family(*name.removesuffix(PAIRS).split("/"), has_pairs=name.endswith(PAIRS))


OWN = [name for name in ALL if row(name).network is not None]
CLASSIFIERS = [name for name in OWN if name.endswith("/text-classification")]


def small_model(name, *, labels=("bad", "good"), problem_type="single_label_classification", seed=0, vocab_size=400):
    torch.manual_seed(seed)
    family = row(name)
    arguments = {key: value for key, value in SMALL[family.name].items() if key in family.sizes}
    is_classifier = "text-classification" in family.tasks
    return build_model(
        family,
        vocab_size=260 if family.tokenizer == "byte-words" else vocab_size,
        labels=labels,
        problem_type=problem_type if is_classifier else None,
        arguments=arguments,
    ).eval()


def output_of(model, batch):
    """Logits, or the vectors of the tokens where there is no head."""
    output = model(**batch)
    if "start_logits" in output:
        return torch.stack([output.start_logits, output.end_logits], dim=2)
    return output.logits if "logits" in output else output.last_hidden_state


def encoded_texts(name, tokenizer):
    has_pairs = row(name).reads_pairs or name.endswith(QUESTIONS)
    return tokenizer.encode(TEXTS, TEXTS[::-1] if has_pairs else None)


def small_tokenizer(name):
    family = row(name)
    return train_tokenizer(TEXTS * 3, family.tokenizer, 300, 32, has_token_types=family.has_token_types)


@pytest.mark.parametrize("name", OWN)
def test_padding_does_not_change_the_logits(name):
    model, tokenizer = small_model(name), small_tokenizer(name)
    encoded = encoded_texts(name, tokenizer)
    together = output_of(model, tokenizer.pad(encoded))
    for logits, text in zip(together, encoded, strict=True):
        alone = output_of(model, tokenizer.pad([text]))[0]
        torch.testing.assert_close(logits[: len(alone)], alone, rtol=0, atol=1e-5)
    first = together if together.ndim == 2 else together[:, 0 if name.endswith(QUESTIONS) else 1]
    assert first.std(dim=0).median() > 1e-4  # the texts do differ


@pytest.mark.parametrize("name", ALL)
def test_runs_in_bfloat16_both_ways(name):
    model, tokenizer = small_model(name), small_tokenizer(name)
    batch = tokenizer.pad(encoded_texts(name, tokenizer))
    exact = output_of(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = output_of(model, batch)
    torch.testing.assert_close(mixed.float(), exact, rtol=0.05, atol=0.05)
    pure = output_of(model.to(torch.bfloat16), batch)
    assert pure.dtype == torch.bfloat16
    torch.testing.assert_close(pure.float(), exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", [*CLASSIFIERS, "bert-tiny"])
def test_eight_texts_can_be_learned_by_heart(name):
    torch.manual_seed(0)
    texts = [f"{subject} {word}" for subject in ("film", "plot", "cast", "end") for word in ("good", "bad")]
    tokenizer = train_tokenizer(texts * 4, row(name).tokenizer, 300, 32)
    model = small_model(name, vocab_size=tokenizer.vocab_size).train()
    batch, labels = tokenizer.pad(tokenizer.encode(texts)), torch.tensor([1, 0] * 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005 if name == "bert-tiny" else 0.02)
    for _ in range(100):
        loss = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model.eval()(**batch).logits.argmax(dim=1).tolist() == labels.tolist()


@pytest.mark.parametrize("name", OWN)
def test_the_same_seed_gives_the_plain_network_s_weights(name):
    model = small_model(name)
    torch.manual_seed(0)
    plain = build_network(row(name), model.config.to_dict(), name="plain")
    state = plain.state_dict()
    assert list(state) == list(model.network.state_dict())
    for key, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, state[key]), key


@pytest.mark.parametrize("name", OWN)
def test_word_vectors_can_be_reached_and_replaced(name):
    model = small_model(name)
    assert model.network.embedding is model.get_input_embeddings()
    assert model.network.embedding.weight.shape[0] in (400, 11)  # token ids, or known words and the unknown one
    replacement = torch.nn.Embedding(7, model.network.embedding.embedding_dim)
    model.set_input_embeddings(replacement)
    assert model.network.embedding is replacement


@pytest.mark.parametrize("name", OWN)
def test_saved_and_loaded_through_transformers_gives_the_same_weights(name, tmp_path):
    model = small_model(name)
    save_checkpoint(model, small_tokenizer(name), tmp_path / "checkpoint")
    _, adapter = adapter_classes(row(name))
    again = adapter.from_pretrained(tmp_path / "checkpoint")
    compared = 0
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key]), key
        compared += 1
    assert compared >= 6


@pytest.mark.parametrize("name", [name for name in OWN if row(name).has_labels])
def test_another_number_of_labels_draws_the_classifier_as_torch_does(name, tmp_path, capfd):
    model = small_model(name)
    save_checkpoint(model, small_tokenizer(name), tmp_path / "checkpoint")
    _, adapter = adapter_classes(row(name))
    config = adapter.config_class.from_pretrained(tmp_path / "checkpoint", id2label={i: str(i) for i in range(400)})
    torch.manual_seed(3)
    again = adapter.from_pretrained(tmp_path / "checkpoint", config=config, ignore_mismatched_sizes=True)
    classifier = again.network.classifier
    bound = classifier.in_features**-0.5  # torch's Linear is uniform in ± 1 / sqrt(inputs)
    for weight in (classifier.weight, classifier.bias):
        assert 0.95 * bound < weight.abs().max().item() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    assert torch.equal(again.network.embedding.weight, model.network.embedding.weight)


def test_a_recurrent_layer_missing_in_the_file_is_drawn_with_its_own_start(tmp_path, capfd):
    from safetensors.torch import load_file, save_file

    save_checkpoint(small_model("lstm"), small_tokenizer("lstm"), tmp_path / "checkpoint")
    file = tmp_path / "checkpoint" / "model.safetensors"
    kept = {key: tensor for key, tensor in load_file(file).items() if ".layers.0." not in key}
    save_file(kept, file, metadata={"format": "pt"})
    _, adapter = adapter_classes(find_family("lstm"))
    cell = adapter.from_pretrained(tmp_path / "checkpoint").network.layers[0].forwards
    assert (cell.bias_ih_l0 + cell.bias_hh_l0)[5:10].tolist() == [1.0] * 5
    assert cell.weight_hh_l0.abs().max() <= 5**-0.5


@pytest.mark.parametrize(
    ("problem_type", "labels", "expected"),
    [
        ("single_label_classification", torch.tensor([1, 0]), torch.nn.functional.cross_entropy),
        (
            "multi_label_classification",
            torch.tensor([[1.0, 0.0], [1.0, 1.0]]),
            torch.nn.functional.binary_cross_entropy_with_logits,
        ),
    ],
)
def test_the_loss_follows_the_problem_type(problem_type, labels, expected):
    model = small_model("textcnn", problem_type=problem_type)
    ids = torch.randint(1, 400, (2, 6))
    output = model(ids, labels=labels)
    torch.testing.assert_close(output.loss, expected(output.logits, labels))


def test_the_loss_of_a_regression_is_the_squared_error():
    model = small_model("textcnn", labels=None, problem_type="regression")
    output = model(torch.randint(1, 400, (2, 6)), labels=torch.tensor([3, -1]))
    torch.testing.assert_close(output.loss, ((output.logits[:, 0] - torch.tensor([3.0, -1.0])) ** 2).mean())


def test_a_problem_type_that_is_none_is_refused():
    model = small_model("textcnn")
    model.config.problem_type = "ranking"
    with pytest.raises(ValueError, match="problem_type is 'ranking', expected single_label_classification"):
        model(torch.ones(1, 6, dtype=torch.long), labels=torch.tensor([1]))


PLAIN_TRANSFORMERS = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "quintet":
            raise ModuleNotFoundError("quintet is blocked in this test")

sys.meta_path.insert(0, Blocker())
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging, pipeline
logging.set_verbosity_error()
logging.disable_progress_bar()
results = {}
for folder in json.loads(sys.argv[1]):
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = json.loads(sys.argv[2])
    with torch.inference_mode():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    pipe = pipeline("text-classification", model=folder, trust_remote_code=True, top_k=None, device="cpu")
    results[folder] = [str(model.dtype), logits.tolist(), pipe([texts[0]])[0]]
assert not any(name.split(".")[0] == "quintet" for name in sys.modules)
print()
print(json.dumps(results))
"""


def test_plain_transformers_loads_every_family_without_quintet(tmp_path):
    expected = {}
    for name in ("lstm", "textcnn", "transformer", "bert-tiny"):
        tokenizer = small_tokenizer(name)
        model = small_model(name, labels=("bad", "fair", "good"), vocab_size=tokenizer.vocab_size)
        folder = str(tmp_path / name)
        # In half precision on disk, to see that it is computed with float32 all the same.
        save_checkpoint(model, tokenizer, folder, task="text-classification", dtype="float16")
        expected[folder] = model(**tokenizer.pad(tokenizer.encode(TEXTS))).logits
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-I", "-c", PLAIN_TRANSFORMERS, json.dumps(list(expected)), json.dumps(TEXTS)]
    # Without a terminal: at one, AutoTokenizer asks whether the checkpoint's code may run, and needs none of it.
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout.splitlines()[-1])
    assert len(results) == 4
    for folder, (dtype, logits, scores) in results.items():
        assert dtype == "torch.float32"
        torch.testing.assert_close(torch.tensor(logits), expected[folder], rtol=0, atol=2e-3)
        probabilities = expected[folder][0].softmax(dim=0)
        assert {entry["label"] for entry in scores} == {"bad", "fair", "good"}
        for entry in scores:
            index = ("bad", "fair", "good").index(entry["label"])
            assert entry["score"] == pytest.approx(probabilities[index].item(), abs=1e-3)
