"""Whether one text follows another, checked against the model's own logits."""

import numpy as np
import pytest
import torch
import transformers
from quintet.pipelines import InputError, UsageError, WeightsError, pipeline, run

CONFIG = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
CONFIG |= {"intermediate_size": 32, "max_position_embeddings": 64, "pad_token_id": 0, "initializer_range": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fast_tokenizer):
    """A tiny BERT with a next sentence head, which takes 64 tokens."""
    folder = tmp_path_factory.mktemp("next") / "tiny-next"
    torch.manual_seed(2)
    transformers.BertForNextSentencePrediction(transformers.BertConfig(**CONFIG)).save_pretrained(folder)
    fast_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def follows(folder):
    """Our pipeline around it."""
    return pipeline("next-sentence-prediction", folder, device="cpu")


@pytest.fixture(scope="module")
def pairs(tiny_words):
    generator = np.random.default_rng(0)
    lengths = [(1, 3), (20, 30), (3, 1), (9, 9), (30, 2), (5, 40)]
    return [
        {
            "text": " ".join(generator.choice(tiny_words, first)),
            "text_pair": " ".join(generator.choice(tiny_words, next_)),
        }
        for first, next_ in lengths
    ]


def probabilities(folder, first, second):
    """What the model says of a pair: [IsNext, NotNext]."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForNextSentencePrediction.from_pretrained(folder)
    with torch.no_grad():
        return model(**tokenizer(first, second, return_tensors="pt")).logits[0].softmax(-1).tolist()


def test_answers_are_the_softmax_of_the_logits(follows, folder, pairs):
    expected = [probabilities(folder, pair["text"], pair["text_pair"]) for pair in pairs]
    best = []
    for pair, both, (is_next, not_next) in zip(pairs, follows(pairs, top_k=2), expected, strict=True):
        assert {answer["label"]: answer["score"] for answer in both} == pytest.approx(
            {"IsNext": is_next, "NotNext": not_next}, abs=1e-5
        )
        assert both[0]["score"] >= both[1]["score"]
        (answer,) = follows(pair)
        assert list(answer) == ["label", "score"]
        assert answer["label"] == ("IsNext" if is_next > not_next else "NotNext")
        best.append(answer["label"])
    assert set(best) == {"IsNext", "NotNext"}, "one answer for all pairs would be right, so that it says little"


def test_lists_and_streams(follows, pairs):
    for answers in (follows(pairs), list(follows(iter(pairs))), follows(pairs, batch_size=2)):
        assert len(answers) == len(pairs)
        for pair, (answer,) in zip(pairs, answers, strict=True):
            (alone,) = follows(pair)
            assert answer == {"label": alone["label"], "score": pytest.approx(alone["score"], abs=1e-6)}


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (100, 100, (31, 30)),
        (100, 5, (56, 5)),
        (5, 100, (5, 56)),
        (31, 30, (31, 30)),
        (32, 30, (31, 30)),
        (0, 90, (0, 61)),
    ],
)
def test_of_a_long_pair_the_place_where_the_texts_meet_is_read(follows, tiny_words, first, second, kept):
    words = tiny_words * 6
    first_words, second_words = words[:first], words[7 : 7 + second]
    tokenizer = follows.tokenizer
    (window,) = [
        sample.features
        for (sample,) in follows.samples(
            [{"text": " ".join(first_words), "text_pair": " ".join(second_words)}], follows.options
        )
    ]
    expected = tokenizer.encode(
        [" ".join(first_words[len(first_words) - kept[0] :])], [" ".join(second_words[: kept[1]])]
    )[0]
    assert sum(kept) <= 61
    assert window.input_ids == expected.input_ids
    assert window.token_type_ids == expected.token_type_ids


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("good", 'expected a pair of texts, got a text alone; give {"text": "first", "text_pair": "second"}'),
        ({"text": "good"}, "expected a pair of texts, got a text alone"),
        ({"text": "good", "text_pair": 3}, "expected a text as 'text_pair', got the number 3"),
        (None, "expected a text, got None"),
    ],
)
def test_a_bad_pair_is_named_and_the_others_are_answered(follows, pairs, item, words):
    with pytest.raises(InputError, match=f"^input 1: .*{words}"):
        follows([pairs[0], item, pairs[1]])
    answers = follows([pairs[0], item, pairs[1]], on_error="record")
    assert list(answers[1]) == ["error"]
    assert [answers[0][0]["label"], answers[2][0]["label"]] == [pair[0]["label"] for pair in follows(pairs[:2])]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"top_k": 3}, "top_k is 3; expected one of 1, 2, None"),
        ({"topk": 1}, "unknown option 'topk'; did you mean top_k"),
    ],
)
def test_a_wrong_option_is_named(follows, pairs, options, words):
    with pytest.raises(UsageError, match=words):
        follows(pairs[0], **options)


def test_a_checkpoint_without_the_head_is_refused(bert_folder):
    words = "has no trained next sentence head .*; fine-tune it first: quintet finetune next-sentence-prediction"
    with pytest.raises(WeightsError, match=words):
        pipeline("next-sentence-prediction", bert_folder, device="cpu")


def test_a_checkpoint_alone_says_its_task(folder):
    assert pipeline(str(folder), device="cpu").task == "next-sentence-prediction"


def test_a_file_of_pairs(follows, pairs, tmp_path):
    lines = [f"{pair['text']},{pair['text_pair']}" for pair in pairs]
    (tmp_path / "pairs.csv").write_text("\n".join(["sentence1,sentence2", *lines]) + "\n", encoding="utf-8")
    rows = run("next-sentence-prediction", tmp_path / "pairs.csv", model=follows).results
    assert [list(row) for row in rows] == [["sentence1", "sentence2", "label", "score"]] * len(pairs)
    assert [row["label"] for row in rows] == [answer[0]["label"] for answer in follows(pairs)]
    assert list(follows.as_columns(follows(pairs[0], top_k=2))) == ["label", "score", "scores"]
