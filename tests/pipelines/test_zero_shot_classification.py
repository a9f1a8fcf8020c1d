"""Labels that come with the call: the same calls and values as transformers, long texts, and what can be wrong."""

import numpy as np
import pytest
import torch
import transformers
from quintet.pipelines import InputError, UnknownNameError, UsageError, pipeline, run

BERT = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT |= {"intermediate_size": 32, "max_position_embeddings": 66, "pad_token_id": 0, "initializer_range": 0.5}
BART = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "vocab_size": 40}
BART |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "init_std": 0.5}
BART |= {"max_position_embeddings": 66, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}

# name: (configuration class, its arguments, names of the classes)
CHECKPOINTS = {
    "bert": (transformers.BertConfig, BERT, ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")),
    "bert-first": (transformers.BertConfig, BERT, ("entailment", "neutral", "contradiction")),
    "bert-two": (transformers.BertConfig, BERT, ("entailed", "not_entailed")),
    "bert-unnamed": (transformers.BertConfig, BERT, ("LABEL_0", "LABEL_1", "LABEL_2")),
    "bart": (transformers.BartConfig, BART, ("contradiction", "neutral", "entailment")),
}
LABELS = ["good", "bad", "witty plot", "dull"]
TEMPLATE = "the film and plot {}"


pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, fast_tokenizer):
    """A checkpoint of each kind, as transformers saves it; each takes 64 tokens."""
    root = tmp_path_factory.mktemp("entailing")
    for name, (config_class, arguments, labels) in CHECKPOINTS.items():
        torch.manual_seed(0)
        config = config_class(
            **arguments, id2label=dict(enumerate(labels)), label2id={label: index for index, label in enumerate(labels)}
        )
        transformers.AutoModelForSequenceClassification.from_config(config).eval().save_pretrained(root / name)
        fast_tokenizer().save_pretrained(root / name)
    return root


@pytest.fixture(scope="module")
def classify(folders):
    """Our pipeline around the tiny BERT."""
    return pipeline("zero-shot-classification", folders / "bert", device="cpu", hypothesis_template=TEMPLATE)


@pytest.fixture(scope="module")
def texts(tiny_words):
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(tiny_words, length)) for length in (1, 45, 3, 3, 17, 8, 30)]


def assert_alike(ours, theirs):
    """The same nesting, keys, texts and labels; scores to 1e-5."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_alike(one, other)
    else:
        assert list(ours) == list(theirs) == ["sequence", "labels", "scores"]
        assert (ours["sequence"], ours["labels"]) == (theirs["sequence"], theirs["labels"])
        assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-5)
        assert all(type(score) is float for score in ours["scores"])


@pytest.mark.filterwarnings("ignore:no label of")
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_calls_give_what_transformers_gives(folders, texts, name):
    theirs = transformers.pipeline("zero-shot-classification", model=str(folders / name), device="cpu")
    ours = pipeline("zero-shot-classification", folders / name, device="cpu")
    options = {"hypothesis_template": TEMPLATE}
    assert_alike(ours(texts[0], LABELS, **options), theirs(texts[0], LABELS, **options))
    assert_alike(ours(texts[:1], LABELS, **options), theirs(texts[:1], LABELS, **options))
    for extra in ({}, {"multi_label": True}):
        options = {"candidate_labels": LABELS, "hypothesis_template": TEMPLATE, **extra}
        assert_alike(ours(texts, **options), theirs(texts, **options))
        assert_alike(ours(texts, batch_size=3, **options), theirs(texts, **options))
        assert_alike(list(ours(iter(texts), **options)), list(theirs((text for text in texts), **options)))
    assert_alike(ours(texts, "good, bad,, witty plot"), theirs(texts, "good, bad,, witty plot"))
    assert_alike(ours(texts, "good"), theirs(texts, "good"))
    long = " ".join(texts)
    options = {"candidate_labels": LABELS, "hypothesis_template": TEMPLATE}
    assert_alike(ours(long, truncation=True, **options), theirs(long, **options))
    first = [answer["scores"][0] for answer in ours(texts, **options)]
    assert np.ptp(first) > 0.01, "the scores hardly differ, so that comparing them says little"


def test_settings_of_the_pipeline_and_of_the_call(folders, texts):
    settings = {"candidate_labels": LABELS, "hypothesis_template": TEMPLATE, "multi_label": True}
    theirs = transformers.pipeline("zero-shot-classification", model=str(folders / "bert"), device="cpu", **settings)
    ours = pipeline("zero-shot-classification", folders / "bert", device="cpu", **settings)
    assert_alike(ours(texts), theirs(texts, candidate_labels=LABELS))
    assert_alike(ours(texts, multi_label=False), theirs(texts, candidate_labels=LABELS, multi_label=False))


def test_a_checkpoint_that_says_its_task_is_taken_too(tmp_path, texts, folders):
    from quintet.finetune.tokenizer_training import train_tokenizer
    from quintet.pipelines.models.building import build_model
    from quintet.pipelines.saving import save_checkpoint

    torch.manual_seed(0)
    tokenizer = train_tokenizer(texts, "wordlevel", 50, 64)
    arguments = {"hidden_size": 16, "heads": 2, "layers": 1}
    labels, problem = ("contradiction", "neutral", "entailment"), "single_label_classification"
    size = {"vocab_size": tokenizer.vocab_size, "max_length": 64}
    model = build_model("transformer", labels=labels, problem_type=problem, arguments=arguments, **size)
    save_checkpoint(model.eval(), tokenizer, tmp_path / "ours", task="text-classification")
    ours = pipeline("zero-shot-classification", tmp_path / "ours", device="cpu")
    assert ours.checkpoint.light
    assert ours.entailment_id == 2
    assert sum(ours(texts[0], LABELS)["scores"]) == pytest.approx(1.0, abs=1e-5)


def test_of_a_long_text_the_scores_are_the_mean_over_its_windows(classify, folders, tiny_words):
    """The longest label's sentence decides how much text a window has, so that each label sees the same windows."""
    words = (tiny_words * 9)[:150]
    text = " ".join(words)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folders / "bert")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders / "bert")
    room = 64 - 3 - len(tokenizer.tokenize(TEMPLATE.format("witty plot")))
    starts = [*range(0, 150 - room, room - 8), 150 - room]
    assert len(starts) == 4
    expected = {True: [], False: []}
    for start in starts:
        window = " ".join(words[start : start + room])
        pairs = tokenizer([window] * 4, [TEMPLATE.format(label) for label in LABELS], padding=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(**pairs).logits
        expected[False].append(logits[:, 2].softmax(0))
        expected[True].append(logits[:, [0, 2]].softmax(1)[:, 1])
    for multi_label, windows in expected.items():
        answer = classify(text, LABELS, multi_label=multi_label)
        mean = dict(zip(LABELS, torch.stack(windows).mean(0).tolist(), strict=True))
        assert dict(zip(answer["labels"], answer["scores"], strict=True)) == pytest.approx(mean, abs=1e-5)
        assert answer["scores"] == sorted(answer["scores"], reverse=True)
    assert answer["sequence"] == text


def test_a_long_text_with_labels_too_long_to_stand_beside_it_is_an_error(classify, tiny_words):
    label = " ".join(tiny_words * 2)
    with pytest.raises(
        InputError, match=r"the label's sentence 'the film and plot a good .* has 42 tokens, but beside a"
    ):
        classify(" ".join(tiny_words * 9), ["good", label])
    assert classify("good film", ["good", label])["labels"]
    words = "it cannot be cut to 64 tokens by truncation='only_first', for the other text of the pair alone is longer"
    answers = classify(["good film", "bad"], [label * 2], truncation=True, on_error="record")
    assert [words in answer["error"] for answer in answers] == [True, True]


def test_a_list_of_mixed_lengths_equals_singles(classify, tiny_words):
    generator = np.random.default_rng(1)
    texts = [" ".join(generator.choice(tiny_words, generator.integers(1, 120))) for _ in range(25)]
    for text, answer in zip(texts, classify(texts, LABELS), strict=True):
        assert_alike(answer, classify(text, LABELS))


def test_a_stream_is_read_lazily(classify):
    read = []

    def texts():
        for number in range(100):
            read.append(number)
            yield "a good film"

    assert_alike(next(classify(texts(), LABELS)), classify("a good film", LABELS))
    assert len(read) == 1


def test_a_model_without_entailment_warns(folders):
    words = (
        r"no label of 'bert-unnamed' says entailment \(found: LABEL_0, LABEL_1, LABEL_2\); its last one is taken for"
    )
    with pytest.warns(UserWarning, match=words):
        ours = pipeline("zero-shot-classification", folders / "bert-unnamed", device="cpu")
    assert ours.entailment_id == -1


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, UsageError, r"needs labels to choose from; give candidate_labels=\['sports', 'politics'\]"),
        ({"candidate_labels": []}, UsageError, "needs labels to choose from"),
        ({"candidate_labels": " , "}, UsageError, "needs labels to choose from"),
        (
            {"candidate_labels": 3},
            UsageError,
            "candidate_labels is 3; expected a list of labels, or a text with commas",
        ),
        ({"candidate_labels": ["a", 3]}, UsageError, r"candidate_labels is \['a', 3\]; expected a list of labels"),
        (
            {"hypothesis_template": "It is so."},
            UsageError,
            r"hypothesis_template is 'It is so\.'; expected a sentence wi",
        ),
        ({"hypothesis_template": "It is {what}."}, UsageError, "expected a sentence with {} where the label goes"),
        ({"hypothesis_template": "It is {"}, UsageError, "expected a sentence with {} where the label goes"),
        ({"multi_label": "yes"}, UsageError, "multi_label is 'yes'; expected one of True, False"),
        ({"label": ["a"]}, UnknownNameError, "unknown option 'label'"),
    ],
)
def test_a_wrong_option_is_named(folders, options, error, words):
    ours = pipeline("zero-shot-classification", folders / "bert", device="cpu")
    if options and "candidate_labels" not in options:
        options = {**options, "candidate_labels": LABELS}
    with pytest.raises(error, match=words):
        ours("a good film", **options)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, "expected a text, got None"),
        ("", "the text is empty; leave it out"),
        (3, "expected a text, got the number 3"),
        ({"text": "a", "text_pair": "b"}, "expected one text, got a pair of texts"),
    ],
)
def test_a_bad_text_is_named_and_the_others_are_answered(classify, item, words):
    with pytest.raises(InputError, match=f"^input 1: .*{words}"):
        classify(["good", item, "bad"], LABELS)
    answers = classify(["good", item, "bad"], LABELS, on_error="record")
    assert list(answers[1]) == ["error"]
    assert_alike([answers[0], answers[2]], classify(["good", "bad"], LABELS))


def test_a_file_gets_the_best_label_and_all_scores(folders, tmp_path):
    (tmp_path / "texts.csv").write_text("text\ngood film\n", encoding="utf-8")
    ours = pipeline("zero-shot-classification", folders / "bert", device="cpu", candidate_labels="good, bad")
    (row,) = run("zero-shot-classification", tmp_path / "texts.csv", model=ours).results
    answer = ours("good film")
    assert list(row) == ["text", "label", "score", "scores"]
    assert (row["label"], row["score"]) == (answer["labels"][0], answer["scores"][0])
    assert [entry["label"] for entry in row["scores"]] == answer["labels"]


def test_labels_from_the_command_line(folders, capsys):
    from quintet.cli import main

    options = "candidate_labels=good,bad,witty plot,multi_label=true"
    arguments = ["run", "zero-shot-classification", "a film", "--model", str(folders / "bert"), "--options", options]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json", "--device", "cpu"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert '"witty plot"' in out
    assert '"bad"' in out
