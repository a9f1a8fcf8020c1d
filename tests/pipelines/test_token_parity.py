"""Token classification gives what ``transformers.pipeline("token-classification")`` gives, call by call.

Tiny random checkpoints of several architectures, over tokenizers that mark continued words (WordPiece), that mark the
spaces (byte-level BPE, unigram), and that exist in Python only (bytes).
"""

import warnings

import numpy as np
import pytest
import torch
import transformers
from quintet.pipelines import pipeline

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
BERT = SIZES | {"max_position_embeddings": 98, "pad_token_id": 0, "initializer_range": 0.5}
LABELS = dict(enumerate(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "S-ORG", "MISC"]))
STRATEGIES = ["none", "simple", "first", "average", "max"]

ARCHITECTURES = {
    "bert": (transformers.BertConfig, BERT, "wordpiece"),
    "distilbert": (
        transformers.DistilBertConfig,
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "initializer_range": 0.5},
        "wordpiece",
    ),
    "electra": (transformers.ElectraConfig, BERT | {"embedding_size": 8}, "wordpiece"),
    "roberta": (transformers.RobertaConfig, BERT, "byte-bpe"),
    "deberta-v2": (
        transformers.DebertaV2Config,
        BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
        "unigram",
    ),
    "xlm-roberta": (transformers.XLMRobertaConfig, BERT, "unigram"),
}
TEXTS = [
    "Angela Merkel visited Paris, France and Zürich.",
    "Paris",
    "EU rejects German call to boycott British lamb 北京 👍🏽 in Cafe\u0301 Ångström's  two-fold\tplan\n(see p. 4)",
    "a [SEP] b [UNK] ☃x☃ \u200b end",
    "",
    "  leading and trailing  ",
    "Жanna жила-была 北京x北京",
]
WORDS = [["Angela", "Merkel", "visited", "Paris", "."], ["北京", "", "👍", "x☃y"], ["Paris"], ["New York", "[SEP]"]]


@pytest.fixture(autouse=True)
def quiet():
    """transformers warns of many things that are not ours to change."""
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    transformers.logging.set_verbosity(verbosity)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory, piece_tokenizer):
    """Makes both libraries' pipelines of a checkpoint; the same ones for the same name."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            config_class, arguments, kind = ARCHITECTURES[name]
            tokenizer = piece_tokenizer(kind, model_max_length=96)
            torch.manual_seed(0)
            config = config_class(vocab_size=len(tokenizer), id2label=LABELS, **arguments)
            model = transformers.AutoModelForTokenClassification.from_config(config).eval()
            with torch.no_grad():  # answers that differ from token to token
                model.classifier.weight.normal_(0, 1)
                logits = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in TEXTS]
                model.classifier.bias.sub_(torch.cat(logits).mean(dim=0))
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            theirs = transformers.pipeline("ner", model=str(folder), device="cpu")
            made[name] = theirs, pipeline("ner", str(folder), device="cpu")
        return made[name]

    return make


def assert_alike(ours, theirs):
    """The same nesting, keys in the same order, and values; scores to 1e-5."""
    if isinstance(theirs, list):
        assert type(ours) is list
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_alike(one, other)
        return
    assert list(ours) == list(theirs)
    assert type(ours["score"]) is float
    assert ours["score"] == pytest.approx(float(theirs["score"]), abs=1e-5)
    for key in ours.keys() - {"score"}:
        assert ours[key] == theirs[key]
        assert type(ours[key]) is type(theirs[key])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_calls_give_what_transformers_gives(pipelines, name, strategy):
    theirs, ours = pipelines(name)
    options = {"aggregation_strategy": strategy}
    together = theirs(TEXTS, **options)
    assert sum(map(len, together)) > 20
    assert len({entity.get("entity", entity.get("entity_group")) for answer in together for entity in answer}) >= 3
    assert_alike(ours(TEXTS, **options), together)
    assert_alike(ours(TEXTS[0], **options), theirs(TEXTS[0], **options))
    assert_alike(ours(TEXTS[:1], **options), theirs(TEXTS[:1], **options))
    assert_alike(list(ours(iter(TEXTS), **options)), list(theirs((text for text in TEXTS), **options)))
    assert_alike(ours(TEXTS, batch_size=3, **options), together)
    for ignored in ([], ["O", "PER", "B-LOC"], ["MISC"]):
        assert_alike(ours(TEXTS, ignore_labels=ignored, **options), theirs(TEXTS, ignore_labels=ignored, **options))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta"])
def test_lists_of_words(pipelines, name, strategy):
    theirs, ours = pipelines(name)
    options = {"is_split_into_words": True, "aggregation_strategy": strategy, "ignore_labels": []}
    for inputs in (WORDS, WORDS[0], WORDS[:1], [[], ["Paris"]]):
        assert_alike(ours(inputs, **options), theirs(inputs, **options))
    for delimiter in ("", " | ", None):
        assert_alike(ours(WORDS, delimiter=delimiter, **options), theirs(WORDS, delimiter=delimiter, **options))


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2"])
def test_stride_reads_and_merges_windows_as_transformers(pipelines, name):
    theirs, ours = pipelines(name)
    generator = np.random.default_rng(0)
    words = " ".join(TEXTS).split()
    texts = [" ".join(generator.choice(words, length)) for length in (3, 60, 150)]
    for strategy in STRATEGIES[1:]:
        for stride in (0, 5, 30):
            options = {"aggregation_strategy": strategy, "stride": stride}
            assert_alike(ours(texts, **options), theirs(texts, **options))
    options = {"aggregation_strategy": "first", "stride": 4, "is_split_into_words": True, "ignore_labels": []}
    lists = [text.split() for text in texts]
    assert_alike(ours(lists, **options), theirs(lists, **options))


@pytest.mark.parametrize("side", ["right", "left"])
def test_truncation_cuts_as_transformers_always_does(pipelines, side):
    theirs, ours = pipelines("bert")
    long = " ".join(TEXTS * 2)
    try:
        for each in (theirs, ours):
            each.tokenizer.truncation_side = side
        ours.tokenizer.transformers_tokenizer.truncation_side = side
        assert_alike(ours([long, TEXTS[1]], truncation=True), theirs([long, TEXTS[1]]))
        assert len(ours(long)) > len(ours(long, truncation=True))
    finally:
        theirs.tokenizer.truncation_side = ours.tokenizer.transformers_tokenizer.truncation_side = "right"


def test_offsets_given_by_the_caller(pipelines):
    theirs, ours = pipelines("bert")
    count = len(theirs.tokenizer("Paris, Rome")["input_ids"])
    offsets = [(0, 0), *((place, place + 2) for place in range(count - 2)), (0, 0)]
    for strategy in STRATEGIES:
        options = {"offset_mapping": offsets, "aggregation_strategy": strategy, "ignore_labels": []}
        assert_alike(ours("Paris, Rome", **options), theirs("Paris, Rome", **options))
        assert_alike(ours(["Paris, Rome"], **options), theirs(["Paris, Rome"], **options))
    options["offset_mapping"] = [offsets]
    assert_alike(ours(["Paris, Rome"], **options), theirs(["Paris, Rome"], **options))


def test_options_of_the_pipeline_and_the_enumeration(pipelines, tmp_path):
    from transformers.pipelines.token_classification import AggregationStrategy

    theirs, ours = pipelines("bert")
    ours.checkpoint.model.save_pretrained(tmp_path)
    ours.tokenizer.save(tmp_path)
    options = {"aggregation_strategy": AggregationStrategy.MAX, "ignore_labels": ["LOC"]}
    theirs = transformers.pipeline("ner", model=str(tmp_path), device="cpu", **options)
    ours = pipeline("ner", str(tmp_path), device="cpu", **options)
    assert_alike(ours(TEXTS), theirs(TEXTS))
    assert_alike(ours(TEXTS, aggregation_strategy="SIMPLE"), theirs(TEXTS, aggregation_strategy="SIMPLE"))


def test_a_tokenizer_that_exists_in_python_only(tmp_path):
    tokenizer = transformers.ByT5Tokenizer(model_max_length=64)
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=400, id2label=LABELS, **BERT)
    model = transformers.BertForTokenClassification(config).eval()
    theirs = transformers.pipeline("ner", model=model, tokenizer=tokenizer, device="cpu")
    ours = pipeline("ner", model, tokenizer=tokenizer, device="cpu")
    for strategy in ("none", "simple"):
        answers = ours(TEXTS[:2], aggregation_strategy=strategy, truncation=True)
        assert_alike(answers, theirs(TEXTS[:2], aggregation_strategy=strategy))
        assert answers[0][0]["start"] is None
    offsets = [*((place, place + 1) for place in range(5)), (0, 0)]
    assert_alike(ours("Paris", offset_mapping=offsets), theirs("Paris", offset_mapping=offsets))


def test_half_precision(pipelines, tmp_path):
    _, ours = pipelines("bert")
    ours.checkpoint.model.save_pretrained(tmp_path)
    ours.tokenizer.save(tmp_path)
    theirs = transformers.pipeline("ner", model=str(tmp_path), device="cpu", dtype=torch.bfloat16)
    ours = pipeline("ner", str(tmp_path), device="cpu", dtype=torch.bfloat16)
    for one, other in zip(ours(TEXTS[0], ignore_labels=[]), theirs(TEXTS[0], ignore_labels=[]), strict=True):
        assert one["score"] == pytest.approx(float(other["score"]), abs=0.03)
