"""Question answering: calls and answers of transformers 4, checked against the model's own logits."""

import io
import json
import sys
import time
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import torch
import transformers
from quintet.pipelines import (
    DataError,
    InputError,
    QuestionAnsweringPipeline,
    UsageError,
    WeightsError,
    pipeline,
    run,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SIZES = {"vocab_size": 70, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT = SIZES | {"intermediate_size": 32, "max_position_embeddings": 66, "pad_token_id": 0, "initializer_range": 0.4}
WITHOUT_TYPES = {"model_input_names": ["input_ids", "attention_mask"]}

WITHOUT_CLS = WITHOUT_TYPES | {"single": "$A", "pair": "$A [SEP] $B", "cls_token": None}
GPT2 = {"vocab_size": 70, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 66, "initializer_range": 0.4}
GPT2 |= {"pad_token_id": 0, "bos_token_id": 3, "eos_token_id": 3}

# name: (configuration class, its arguments, the tokenizer's)
ARCHITECTURES = {
    "bert": (transformers.BertConfig, BERT, {}),
    "distilbert": (
        transformers.DistilBertConfig,
        {"vocab_size": 70, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "initializer_range": 0.4},
        WITHOUT_TYPES,
    ),
    "roberta": (transformers.RobertaConfig, BERT | {"type_vocab_size": 2}, {}),
    "albert": (transformers.AlbertConfig, BERT | {"embedding_size": 8}, {}),
    "electra": (transformers.ElectraConfig, BERT | {"embedding_size": 8}, {}),
    "deberta-v2": (
        transformers.DebertaV2Config,
        BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 2},
        {},
    ),
    "gpt2": (transformers.GPT2Config, GPT2, WITHOUT_CLS),
    "gpt2-padded-left": (transformers.GPT2Config, GPT2, WITHOUT_CLS | {"padding_side": "left"}),
    "xlnet": (
        transformers.XLNetConfig,
        {"vocab_size": 70, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32, "initializer_range": 0.4},
        {"single": "$A [SEP] [CLS]:2", "pair": "$A [SEP] $B:1 [SEP]:1 [CLS]:2", "padding_side": "left"},
    ),
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["good", "film", "actor", "the", "and", "witty"]
OPTIONS = [
    {},
    {"top_k": 4},
    {"top_k": 60, "handle_impossible_answer": True},
    {"handle_impossible_answer": True, "align_to_words": False},
    {"top_k": 7, "align_to_words": False, "max_answer_len": 3},
    {"top_k": 3, "max_seq_len": 30, "doc_stride": 9},
    {"top_k": 3, "max_seq_len": 40, "doc_stride": 0, "max_answer_len": 1},
]


def subword_tokenizer(*, single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", **options):
    """A WordPiece tokenizer that knows a few words and spells all others."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS), "##film"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=specials)
    names = ["input_ids", "token_type_ids", "attention_mask"]
    options = {"cls_token": "[CLS]", "model_max_length": 64, "model_input_names": names} | options
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", sep_token="[SEP]", pad_token="[PAD]", **options
    )


def build(folder, name="bert", **changes):
    """A tiny random model of an architecture and its tokenizer, saved."""
    config_class, arguments, tokenizer_arguments = ARCHITECTURES[name]
    torch.manual_seed(0)
    model = transformers.AutoModelForQuestionAnswering.from_config(config_class(**arguments)).eval()
    tokenizer = subword_tokenizer(**tokenizer_arguments | changes)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """The pipeline of the tiny BERT."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-qa"
    build(folder)
    return pipeline("qa", folder, device="cpu")


def write_text(generator, length):
    words = [*WORDS, "Unfilm", "the", "actors", "goodfilm", "👍🏽", "e\u0301te\u0301", "很好", "Witty", "(ab)", "x"]
    return "".join(f"{word}{generator.choice([' ', ' ', '  ', ', '])}" for word in generator.choice(words, length))


@pytest.fixture(scope="module")
def questions():
    """Questions with contexts of one window and of several."""
    generator = np.random.default_rng(0)
    lengths = [(1, 1), (2, 5), (4, 17), (3, 60), (1, 25), (5, 3), (2, 90)]
    return [{"question": write_text(generator, q), "context": write_text(generator, c)} for q, c in lengths]


def span_scores(start, end, inside, no_answer, max_answer_len):
    """Score of each span of ``inside`` tokens as {(first, last): score}, and of no answer."""
    allowed = [*inside, *no_answer]
    mask = torch.full_like(start, -torch.inf)
    mask[allowed] = 0
    start, end = (start + mask).softmax(0), (end + mask).softmax(0)
    null = float(start[no_answer[0]] * end[no_answer[0]]) if no_answer else 0.0
    pairs = [(one, other) for one in inside for other in inside if one <= other < one + max_answer_len]
    return {(one, other): float(start[one] * end[other]) for one, other in pairs}, null


def expected(
    model,
    tokenizer,
    question,
    context,
    *,
    top_k=1,
    max_seq_len=64,
    doc_stride=32,
    max_answer_len=15,
    handle_impossible_answer=False,
    align_to_words=True,
):
    """What transformers 4 documents, by the tokenizer's own windows and the model's own logits, one at a time."""
    owner = 1 if tokenizer.padding_side == "right" else 0
    encoded = tokenizer(
        *((question, context) if owner == 1 else (context, question)),
        truncation="only_second" if owner == 1 else "only_first",
        max_length=max_seq_len,
        stride=doc_stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    found, nulls = [], []
    for number, ids in enumerate(encoded["input_ids"]):
        features = {name: torch.tensor([encoded[name][number]]) for name in tokenizer.model_input_names}
        with torch.no_grad():
            outputs = model(**features)
        owners = encoded.sequence_ids(number)
        inside = [place for place, whose in enumerate(owners) if whose == owner]
        no_answer = [place for place, token in enumerate(ids) if token == tokenizer.cls_token_id]
        scores, null = span_scores(outputs.start_logits[0], outputs.end_logits[0], inside, no_answer, max_answer_len)
        nulls.append(null)
        best = sorted(scores, key=lambda span: -scores[span])[: 2 * top_k + 10 if align_to_words else top_k]
        for first, last in best:
            start, end = encoded["offset_mapping"][number][first][0], encoded["offset_mapping"][number][last][1]
            if align_to_words:
                start = encoded.word_to_chars(number, encoded.token_to_word(number, first), owner).start
                end = encoded.word_to_chars(number, encoded.token_to_word(number, last), owner).end
            same = [other for other in found if other["answer"].lower() == context[start:end].lower()]
            if same:
                same[0]["score"] += scores[first, last]
            else:
                found.append({"score": scores[first, last], "start": start, "end": end, "answer": context[start:end]})
    if handle_impossible_answer:
        found.append({"score": min(nulls), "start": 0, "end": 0, "answer": ""})
    found = sorted(found, key=lambda each: -each["score"])[:top_k]
    return found[0] if len(found) == 1 else found


def assert_alike(ours, theirs):
    """The same nesting, keys, types, places and texts; scores to 1e-5."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_alike(one, other)
        return
    assert list(ours) == ["score", "start", "end", "answer"]
    assert [type(value) for value in ours.values()] == [float, int, int, str]
    assert ours == theirs | {"score": pytest.approx(theirs["score"], abs=1e-5)}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_answers_are_those_of_the_models_own_logits(tmp_path, questions, name):
    model, tokenizer = build(tmp_path, name)
    answer = pipeline("question-answering", tmp_path, device="cpu")
    scores = []
    for options in OPTIONS:
        theirs = [expected(model, tokenizer, **question, **options) for question in questions]
        assert_alike(answer(questions, **options), theirs)
        for question, found in zip(questions, theirs, strict=True):
            assert_alike(answer(question, **options), found)
            assert_alike(answer(**question, **options), found)
        scores += [found["score"] for found in theirs if isinstance(found, dict)]
    assert np.ptp(scores) > 1e-3, "the scores hardly differ, so that comparing them says little"


def test_the_architectures_are_many_and_the_contexts_of_several_windows(answer, questions):
    assert len(ARCHITECTURES) >= 8
    assert [len(windows) for windows in answer.preprocess(questions)][:2] == [1, 1]
    assert max(len(windows) for windows in answer.preprocess(questions)) > 3


def test_list_and_stream_and_batch_size_equal_singles(answer, questions):
    options = {"top_k": 5, "handle_impossible_answer": True}
    singles = [answer(question, **options) for question in questions]
    for batch_size in (None, 1, 3):
        assert_alike(answer(questions, batch_size=batch_size, **options), singles)
        assert_alike(list(answer(iter(questions), batch_size=batch_size, **options)), singles)


def test_every_way_to_ask(answer, questions):
    first, second = questions[1], questions[2]
    one, both = answer(first), answer([first, second])
    assert isinstance(one, dict)
    assert isinstance(both, list)
    assert_alike(both[0], one)
    example = SimpleNamespace(question_text=first["question"], context_text=first["context"])
    ones = [
        answer(first["question"], first["context"]),
        answer(question=first["question"], context=first["context"]),
        answer([first]),
        answer((first,)),
        answer(question=[first["question"]], context=first["context"]),
        answer(example),
        answer([example]),
        answer(data=first),
        answer(X=[first]),
        answer(inputs=first),
        answer(first | {"id": "7", "answers": {"text": [], "answer_start": []}}),
    ]
    for each in ones:
        assert_alike(each, one)
    asked = [first["question"], second["question"]]
    contexts = [first["context"], second["context"]]
    pairs = [
        answer((first, second)),
        answer(first, second),
        answer(question=asked, context=contexts),
        answer({"question": asked, "context": contexts}),
        answer(question=datasets.Dataset.from_dict({"q": asked})["q"], context=contexts),
        answer([example, second]),
    ]
    for each in pairs:
        assert_alike(each, both)
    shared = answer(question=asked, context=contexts[1])
    assert_alike(shared, [answer(asked[0], contexts[1]), both[1]])
    assert_alike(answer(question=asked[0], context=contexts), [one, shared[0]])
    assert answer([]) == []


def test_a_stream_is_lazy(answer, questions):
    taken = []

    def stream():
        for question in questions:
            taken.append(question)
            yield question

    answers = answer(stream())
    assert taken == []
    assert_alike(next(answers), answer(questions[0]))
    assert len(taken) == 1
    assert_alike(list(answers), answer(questions)[1:])


def test_the_rows_of_a_data_set_are_answered_lazily(answer, questions):
    rows = [question | {"id": str(number)} for number, question in enumerate(questions)]
    answers = answer(datasets.Dataset.from_list(rows))
    assert iter(answers) is iter(answers)
    assert_alike(list(answers), answer(questions))


def test_several_answers_are_a_list_unless_there_is_one(answer):
    assert isinstance(answer(question="good", context="film and actor", top_k=1), dict)
    three = answer(question="good", context="film and actor", top_k=3)
    assert [type(each) for each in three] == [dict, dict, dict]
    assert three == sorted(three, key=lambda each: -each["score"])
    assert isinstance(answer(question="good", context="film", top_k=3), dict)
    assert len(answer(question="good", context="film and", top_k=99)) == 3


def test_topk_is_an_older_name_of_top_k(answer, questions):
    assert answer(questions[2], topk=3) == answer(questions[2], top_k=3)
    assert answer(questions[2], topk=3, top_k=2) == answer(questions[2], top_k=2)


def test_none_leaves_an_option_as_it_is(answer, questions):
    options = dict.fromkeys(QuestionAnsweringPipeline.option_names)
    assert answer(questions[2], **options) == answer(questions[2])
    assert answer(questions[2], padding="max_length") == answer(questions[2])


def test_options_can_be_set_for_all_calls(answer, questions):
    always = pipeline("qa", answer.checkpoint.folder, device="cpu", top_k=3, handle_impossible_answer=True)
    assert_alike(always(questions[3]), answer(questions[3], top_k=3, handle_impossible_answer=True))
    assert_alike(always(questions[3], top_k=1), answer(questions[3], handle_impossible_answer=True))


def test_every_answer_is_the_text_at_its_place(answer):
    context = "The  café – cafe\u0301 –\tserved 👍🏽👩‍👩‍👧 and 麻婆豆腐 for 12,50 €!\n很好的电影 " * 3
    for aligned in (True, False):
        for each in answer(question="who ate?", context=context, top_k=200, align_to_words=aligned):
            assert each["answer"] == context[each["start"] : each["end"]] != ""
            assert each["answer"] == each["answer"].strip()


def test_a_question_is_cut_to_max_question_len(answer):
    words = ["good", "film", "actor", "the", "and", "witty"]
    context = "the actor and the film"
    assert_alike(
        answer(question=" ".join(words), context=context, max_question_len=2, top_k=3),
        answer(question="good film", context=context, top_k=3),
    )
    long = " ".join(words * 4)
    short = answer(question=long, context=context, max_question_len=20)
    assert short["score"] != pytest.approx(answer(question="good film", context=context)["score"], abs=1e-4)


def test_the_default_window_has_384_tokens_where_the_model_takes_more(tmp_path):
    build(tmp_path, "xlnet", model_max_length=1000)
    answer = pipeline("qa", tmp_path, device="cpu")
    first, second = answer.preprocess([{"question": "film", "context": "good " * 500}])[0]
    assert [len(first.encoded), first.tokens.starts[-128:].tolist()] == [384, second.tokens.starts[:128].tolist()]
    assert len(answer.preprocess([{"question": "film", "context": "good " * 500}], max_seq_len=900)[0]) == 1


def test_windows_are_what_the_model_reads_and_say_where_an_answer_is(answer, questions):
    context = "good film and the actor witty the witty"
    ((window,),) = answer.preprocess([{"question": "the film", "context": context}])
    assert set(window.features()) == {"input_ids", "token_type_ids"}
    assert window.features()["input_ids"] == [2, 7, 5, 3, 4, 5, 8, 7, 6, 9, 7, 9, 3]
    assert window.places(14, 23) == (7, 8)
    assert window.null == 0


class Planted(torch.nn.Module):
    """In place of a model: it finds the word "witty", and no answer where that is not."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.num_tokens = 0

    def forward(self, input_ids, attention_mask=None):
        self.num_tokens += input_ids.numel()
        logits = torch.where(input_ids == 9, 20.0, 0.0) + torch.where(input_ids == 2, 10.0, 0.0)
        return SimpleNamespace(start_logits=logits, end_logits=logits)


def test_an_answer_is_found_in_a_hundred_thousand_words(answer, monkeypatch):
    from dataclasses import replace

    words = ["good", "film", "actor", "the"] * 26_000
    words[77_777] = "witty"
    context = " ".join(words)
    found = QuestionAnsweringPipeline(replace(answer.checkpoint, model=Planted()))
    began = time.monotonic()
    best = found(question="the good film", context=context, handle_impossible_answer=True)
    assert time.monotonic() - began < 60
    start = len(" ".join(words[:77_777])) + 1
    assert (best["start"], best["end"], best["answer"]) == (start, start + 5, "witty")
    assert best["score"] == pytest.approx(2, abs=0.01)  # it stands in two windows
    assert found.model.num_tokens < 2.5 * len(words)


BAD = [
    (None, 'expected {"question": "…", "context": "…"}, got None; a question is answered from a context'),
    ("film", 'expected {"question": "…", "context": "…"}, got a text alone'),
    (3, 'expected {"question": "…", "context": "…"}, got int'),
    (["film", "good"], 'expected {"question": "…", "context": "…"}, got a list of 2'),
    ({}, "got a dict with no keys; 'question' is missing"),
    ({"question": "film", "text": "good"}, "got a dict with 'question', 'text'; 'context' is missing"),
    ({"question": "film", "context": None}, "expected a text as 'context', got None; leave missing values out"),
    ({"question": "film", "context": 4}, "expected a text as 'context', got the number 4"),
    ({"question": "film", "context": b"good"}, "expected a text as 'context', got bytes; decode it first"),
    ({"question": ["film"], "context": ["good"]}, "expected a text as 'question', got a list of 1; give a dict"),
    ({"question": float("nan"), "context": "good"}, "expected a text as 'question', got nan, a missing value"),
    ({"question": "film \ud83d", "context": "good"}, "the text is not valid Unicode: position 5"),
    ({"question": "", "context": "good"}, "the question is empty, or blank; leave it out"),
    ({"question": "\n\t ", "context": "good"}, "the question is empty, or blank"),
    ({"question": "film", "context": ""}, "the context is empty, or blank, so there is no answer in it"),
    ({"question": "film", "context": " \n"}, "the context is empty, or blank"),
    (
        {"question": "film " * 70, "context": "good"},
        "take 67 tokens, which leaves no room for the context in max_seq_len=64; shorten the question, or cut it",
    ),
    (datasets.DatasetDict(), "got a whole DatasetDict with the splits"),
]


@pytest.mark.parametrize(("item", "words"), BAD)
def test_a_bad_question_is_named_and_the_others_are_answered(answer, questions, item, words):
    with pytest.raises(InputError) as caught:
        answer([questions[0], item, questions[1]])
    assert str(caught.value).startswith("input 1: ")
    assert words in str(caught.value)
    recorded = answer([questions[0], item, questions[1]], on_error="record")
    assert recorded[1] == {"error": caught.value.reason}
    assert_alike([recorded[0], recorded[2]], answer(questions[:2]))


def test_a_bad_single_question_is_an_error(answer):
    with pytest.raises(InputError, match="the context is empty"):
        answer(question="film", context="")
    with pytest.raises(InputError, match="expected a text as 'context', got None"):
        answer(question="film")
    assert list(answer(None, on_error="record")) == ["error"]


def test_answers_before_a_bad_question_of_a_stream_are_given_first(answer, questions):
    answers = answer(iter([questions[0], questions[1], {"question": "film"}]))
    assert_alike([next(answers), next(answers)], answer(questions[:2]))
    with pytest.raises(InputError, match=r"input 2: .*'context' is missing"):
        next(answers)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda answer: answer(), r"nothing to answer: give question=.* and context="),
        (lambda answer: answer({"question": "a"}, context="b"), "inputs were given with question= or context= beside"),
        (
            lambda answer: answer(question=["a", "b", "c"], context=["d", "e"]),
            "question has 3 texts and context has 2; expected as many, or one context for all questions",
        ),
    ],
)
def test_a_call_that_cannot_be_understood_says_why(answer, call, words):
    with pytest.raises(UsageError, match=words):
        call(answer)


def test_a_whole_data_frame_is_refused_with_the_way_out(answer, questions):
    import pandas

    frame = pandas.DataFrame(questions)
    with pytest.raises(UsageError, match=r"got a whole data frame; give its rows: frame\.to_dict\('records'\)"):
        answer(frame)
    assert_alike(answer(frame.to_dict("records")), answer(questions))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"top_k": 0}, "top_k is 0; expected a whole number from 1"),
        ({"topk": -1}, "top_k is -1; expected a whole number from 1"),
        ({"max_answer_len": 0}, "max_answer_len is 0; expected a whole number from 1"),
        ({"max_question_len": 2.5}, "max_question_len is 2.5; expected a whole number from 1"),
        ({"max_seq_len": True}, "max_seq_len is True; expected a whole number from 1"),
        ({"max_seq_len": 65}, "max_seq_len is 65, but 'tiny-qa' takes 64 tokens at most"),
        ({"doc_stride": -1}, "doc_stride is -1; expected a number of tokens from 0"),
        ({"doc_stride": 64}, "doc_stride is 64, but a window has only 64 tokens"),
        ({"doc_stride": 30, "max_seq_len": 30}, "doc_stride is 30, but a window has only 30 tokens"),
        ({"align_to_words": "yes"}, "align_to_words is 'yes'; expected one of True, False"),
        ({"handle_impossible_answer": "yes"}, "handle_impossible_answer is 'yes'; expected one of True, False"),
        ({"max_seq_length": 20}, "unknown option 'max_seq_length'; did you mean max_seq_len"),
    ],
)
def test_a_wrong_option_is_named(answer, questions, options, words):
    with pytest.raises(UsageError, match=words):
        answer(questions[0], **options)
    with pytest.raises(UsageError, match=words):
        pipeline("qa", answer.checkpoint.folder, **options)


def test_a_stride_that_leaves_nothing_new_is_an_error_of_its_question(answer):
    with pytest.raises(InputError, match="of which the next one shares doc_stride=60, so that it brings nothing new"):
        answer(question="good film", context="film " * 80, doc_stride=60)
    assert answer(question="good film", context="film " * 20, doc_stride=60)["answer"]


def test_a_slow_tokenizer_is_refused(answer, questions):
    from quintet.pipelines.tokenization import TextTokenizer
    from transformers import CanineTokenizer

    slow = TextTokenizer.from_transformers(CanineTokenizer())
    mine = pipeline("qa", answer.model, tokenizer=slow, device="cpu")
    with pytest.raises(UsageError, match="does not say where its tokens stand in the text, which the task needs; use"):
        mine(questions[0])


def test_an_unusable_output_is_an_error_of_its_question(tmp_path):
    build(tmp_path)
    broken = pipeline("qa", tmp_path, device="cpu")
    with torch.no_grad():
        broken.model.bert.embeddings.word_embeddings.weight[9] = float("nan")  # "witty"
    rows = [{"question": "film", "context": context} for context in ("good", "the witty actor", "and")]
    answers = broken(rows, on_error="record")
    assert answers[1] == {"error": "the model's output is not finite (nan or infinite); try dtype='float32'."}
    assert [each["answer"] for each in answers[::2]] == ["good", "and"]


def test_a_checkpoint_without_the_head_is_refused(tmp_path):
    transformers.BertModel(transformers.BertConfig(**BERT)).save_pretrained(tmp_path / "plain")
    subword_tokenizer().save_pretrained(tmp_path / "plain")
    with pytest.raises(WeightsError, match="checkpoint 'plain' has no trained question answering head"):
        pipeline("qa", tmp_path / "plain")


@pytest.mark.parametrize("name", ["bert", "xlnet"])  # the latter's class is called …ForQuestionAnsweringSimple
def test_a_checkpoint_says_its_task_by_its_architecture(tmp_path, name):
    build(tmp_path, name)
    assert isinstance(pipeline(str(tmp_path), device="cpu"), QuestionAnsweringPipeline)


def test_bfloat16_answers_alike(answer, questions):
    half = pipeline("qa", answer.checkpoint.folder, device="cpu", dtype="bfloat16")
    for one, other in zip(half(questions), answer(questions), strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=0.1 * other["score"] + 0.02)


def test_names_and_default_of_the_task():
    from quintet.pipelines.tasks import find_task

    row = find_task("extractive-qa")
    assert row is find_task("qa") is find_task("question-answering")
    assert row.default == ("distilbert/distilbert-base-cased-distilled-squad@564e9b5",)
    assert row.load_pipeline() is QuestionAnsweringPipeline


@pytest.fixture
def rows(tmp_path, questions):
    """questions.jsonl with columns query, passage and answers; the third row has no passage."""
    rows = [
        {"id": number, "query": each["question"], "passage": each["context"], "answers": {"text": ["x"]}}
        for number, each in enumerate(questions)
    ]
    rows[2]["passage"] = None
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_file_is_answered_row_by_row(answer, questions, rows):
    summary = run("qa", rows, model=answer)
    assert [summary.total, summary.failed] == [len(questions), 1]
    assert summary.results[2]["error"] == "column 'passage' is empty, expected a text."
    for row, found in zip(summary.results, answer(questions), strict=True):
        if "error" not in row:
            assert list(row) == ["id", "query", "passage", "answers", "answer", "score", "start", "end"]
            assert_alike({name: row[name] for name in found}, found)


def test_a_table_has_the_best_answer_and_all_of_several(answer, questions, rows):
    several = pipeline("qa", answer.checkpoint.folder, device="cpu", top_k=2)
    run("qa", rows, model=several, output=rows.with_name("out.jsonl"))
    results = [json.loads(line) for line in rows.with_name("out.jsonl").read_text(encoding="utf-8").splitlines()]
    found = several(questions)
    for row, each in zip(results, found, strict=True):
        if isinstance(each, list) and "error" not in row:
            assert row["answer"] == each[0]["answer"]
            assert_alike(row["predicted_answers"], each)
    assert sum("predicted_answers" in row for row in results) == len(questions) - 2


def test_standard_input_holds_rows_as_json_lines(answer, questions, monkeypatch):
    lines = "".join(json.dumps(question) + "\n" for question in questions[:2]).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines + b"just text\n")))
    results = run("qa", "-", model=answer).results
    assert [row["answer"] for row in results[:2]] == [each["answer"] for each in answer(questions[:2])]
    assert "it is not JSON" in results[2]["error"]


def test_a_file_with_one_column_is_not_both_question_and_context(answer, tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text("question\nwhat film?\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"questions\.csv: no column 'context'; found: question"):
        run("qa", path, model=answer)
