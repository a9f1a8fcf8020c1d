"""Windows of a context against those that a transformers tokenizer cuts, and where tokens stand in the text."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from quintet.pipelines import context_windows as module
from quintet.pipelines.context_windows import ContextTokens, ContextWindow, context_windows
from quintet.pipelines.encodings import Encoded
from quintet.pipelines.errors import InputError
from quintet.pipelines.question_inputs import QuestionInput
from quintet.pipelines.tokenization import TextTokenizer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LEFT = {"single": "$A [SEP] [CLS]:2", "pair": "$A [SEP] $B:1 [SEP]:1 [CLS]:2", "padding_side": "left"}
TEXTS = (
    "The  café – cafe\u0301 –\tserved 👍🏽👩‍👩‍👧 and 麻婆豆腐 for 12,50 €!\n",
    "  blank at both ends  ",
    "one",
    "很好的电影，演员也好。",
)


@pytest.fixture(scope="module")
def byte_tokenizer():
    """A byte-level BPE as GPT-2 and RoBERTa have it: most characters of the texts above take several tokens."""

    def make(*, pair="[CLS] $A [SEP] $B:1 [SEP]:1", single="[CLS] $A [SEP]", **options):
        backend = Tokenizer(models.BPE(unk_token="[UNK]"))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=280, special_tokens=SPECIALS, initial_alphabet=alphabet)
        backend.train_from_iterator(["the film and the actor served good food"], trainer)
        specials = [("[CLS]", 2), ("[SEP]", 3)]
        backend.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=specials)
        names = ["input_ids", "token_type_ids", "attention_mask"]
        options = {"cls_token": "[CLS]", "model_max_length": 64, "model_input_names": names} | options
        return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", sep_token="[SEP]", **options)

    return make


def windows_of(tokenizer, context, question="which film", *, max_length=30, stride=7, max_question=64):
    """The windows of one question."""
    (windows,) = context_windows(
        TextTokenizer.from_transformers(tokenizer),
        [QuestionInput(question, context)],
        max_length=max_length,
        stride=stride,
        max_question=max_question,
    )
    return windows


def characters(window, first, last, *, aligned=False):
    """Where a span of tokens begins and ends in the context."""
    starts, ends = window.characters(np.array([first]), np.array([last]), align_to_words=aligned)
    return int(starts[0]), int(ends[0])


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("stride", [0, 7, 12])
@pytest.mark.parametrize("context", [*TEXTS, " ".join(TEXTS) * 3])
def test_windows_are_those_that_transformers_cuts(byte_tokenizer, context, stride, side):
    tokenizer = byte_tokenizer(**(LEFT if side == "left" else {}))
    question = "which film"
    cut = tokenizer(
        *((question, context) if side == "right" else (context, question)),
        truncation="only_second" if side == "right" else "only_first",
        max_length=30,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    windows = windows_of(tokenizer, context, question, stride=stride)
    assert [window.encoded.input_ids for window in windows] == cut["input_ids"]
    assert [window.encoded.token_type_ids for window in windows] == cut["token_type_ids"]
    owner = 1 if side == "right" else 0
    for number, window in enumerate(windows):
        inside = [place for place, whose in enumerate(cut.sequence_ids(number)) if whose == owner]
        assert [window.first, len(window.tokens)] == [inside[0], len(inside)]
        assert window.null == (0 if side == "right" else len(window.encoded) - 1)
        spans = [characters(window, token, token) for token in range(len(inside))]
        assert spans == [cut["offset_mapping"][number][place] for place in inside]
        for token, place in enumerate(inside):
            expected = cut.word_to_chars(number, cut.token_to_word(number, place), owner)
            assert characters(window, token, token, aligned=True) == tuple(expected)


def test_the_first_of_two_windows_ends_where_the_second_begins_but_for_the_stride(byte_tokenizer):
    windows = windows_of(byte_tokenizer(), "film " * 40, stride=7)
    assert len(windows) > 2
    for one, other in pairwise(windows):
        assert one.tokens.starts[-7:].tolist() == other.tokens.starts[:7].tolist()


def test_a_long_question_is_cut(byte_tokenizer):
    tokenizer = byte_tokenizer()
    whole = windows_of(tokenizer, "a film", "the film and the actor", max_question=64)[0]
    short = windows_of(tokenizer, "a film", "the film and the actor", max_question=3)[0]
    asked = tokenizer("the film and the actor", add_special_tokens=False)["input_ids"]
    assert len(asked) > 3
    assert whole.encoded.input_ids[: 1 + len(asked)] == [2, *asked]
    assert short.encoded.input_ids == [2, *asked[:3], 3, *whole.encoded.input_ids[whole.first :]]
    assert short.tokens.starts.tolist() == whole.tokens.starts.tolist()


def test_a_tokenizer_without_a_classification_token_has_no_place_for_no_answer(byte_tokenizer):
    plain = byte_tokenizer(cls_token=None, pair="$A [SEP] $B", single="$A")
    assert windows_of(plain, "a film")[0].null is None


def test_a_classification_token_in_the_text_is_not_taken_for_the_real_one(byte_tokenizer):
    window = windows_of(byte_tokenizer(pair="$A [SEP] $B:1 [CLS]:1"), "a [CLS] film", "[CLS] which")[0]
    assert window.null == len(window.encoded) - 1


@pytest.mark.parametrize(("context", "characters_of_piece"), [(" ".join(TEXTS) * 4, 40), ("film good " * 20, 5)])
def test_a_context_in_pieces_gives_the_same_windows(byte_tokenizer, monkeypatch, context, characters_of_piece):
    tokenizer = byte_tokenizer()
    whole = windows_of(tokenizer, context)
    split_text = module.split_text
    assert len(split_text(context, characters_of_piece)) > 5
    monkeypatch.setattr(module, "split_text", lambda text: split_text(text, characters_of_piece))
    monkeypatch.setattr(module, "PIECE_CHARACTERS", 90)
    for one, other in zip(windows_of(tokenizer, context), whole, strict=True):
        assert one.encoded.input_ids == other.encoded.input_ids
        assert one.encoded.token_type_ids == other.encoded.token_type_ids
        for token in range(len(other.tokens)):
            for aligned in (False, True):
                spans = [characters(each, token, token, aligned=aligned) for each in (one, other)]
                assert spans[0] == spans[1]


def test_few_characters_are_encoded_at_a_time(fast_tokenizer, monkeypatch):
    monkeypatch.setattr(module, "PIECE_CHARACTERS", 100)
    held = []
    encode = TextTokenizer.encode

    def counting(self, texts, pairs, **options):
        held.append(sum(map(len, [*texts, *pairs])))
        return encode(self, texts, pairs, **options)

    monkeypatch.setattr(TextTokenizer, "encode", counting)
    questions = [QuestionInput("film", "good " * count) for count in (1, 3, 60, 2, 15, 15, 1)]
    tokenizer = TextTokenizer.from_transformers(fast_tokenizer())
    windows = context_windows(tokenizer, questions, max_length=64, stride=None, max_question=9)
    assert [of[0].context for of in windows] == [question.context for question in questions]
    assert held == [28, 304, 93, 88]


def test_the_places_of_an_answer_are_what_characters_gives_back(byte_tokenizer):
    context = " ".join(TEXTS)
    windows = windows_of(byte_tokenizer(), context)
    start = context.index("麻婆")
    found = [window.places(start, start + 4) for window in windows]
    assert any(found)
    assert None in found
    for window, places in zip(windows, found, strict=True):
        if places is not None:
            tokens = [place - window.first for place in places]
            assert context[slice(*characters(window, *tokens))] == "麻婆豆腐"
    assert windows[0].places(len(context) - 3, len(context)) is None


@pytest.mark.parametrize(("answer", "words"), [(" very dull ", ["very", "dull"]), ("dull\u200b\x07", ["dull"])])
def test_characters_without_a_token_do_not_lose_an_answer(fast_tokenizer, answer, words):
    tokenizer = fast_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.BertNormalizer()
    context = f"the film is {answer} and bad"
    window = windows_of(tokenizer, context)[0]
    start = context.index(answer)
    first, last = window.places(start, start + len(answer))
    assert window.encoded.input_ids[first : last + 1] == tokenizer.convert_tokens_to_ids(words)


def test_blanks_around_an_answer_at_the_edge_of_a_window_do_not_lose_it(fast_tokenizer):
    (window,) = windows_of(fast_tokenizer(), "  good film  ")
    assert window.places(0, 6) == (window.first, window.first)
    assert window.places(7, 13) == (window.first + 1, window.first + 1)


def test_tokens_without_a_word_are_not_widened():
    arrays = np.array([[0, 2, 4, 6], [2, 4, 6, 8], [0, -1, -1, 3]], dtype=np.int32)
    window = ContextWindow(Encoded([0] * 4), "ab cd ef", ContextTokens(*arrays), 0, None)
    assert characters(window, 1, 1, aligned=True) == (2, 4)
    assert characters(window, 1, 2, aligned=True) == (2, 6)
    assert characters(window, 0, 3, aligned=True) == (0, 8)


def test_an_answer_of_which_a_part_is_outside_is_not_in_a_window(byte_tokenizer):
    windows = windows_of(byte_tokenizer(), "film " * 40, stride=0)
    edge = int(windows[0].tokens.ends[-1])
    assert windows[0].places(edge - 3, edge) is not None
    assert windows[0].places(edge - 3, edge + 3) is None
    assert windows[1].places(edge - 3, edge + 3) is None


@pytest.mark.parametrize(
    ("question", "options", "words"),
    [
        (
            "film " * 60,
            {"max_question": 64},
            r"take \d+ tokens, which leaves no room for the context in max_seq_len=30; shorten the question, or cut it",
        ),
        (
            "the film " * 3,
            {"stride": 29},
            r"has room for \d+ tokens of the context, of which the next one shares doc_stride=29, so that it brings",
        ),
    ],
)
def test_a_question_without_room_for_the_context_is_refused(byte_tokenizer, question, options, words):
    with pytest.raises(InputError, match=words):
        windows_of(byte_tokenizer(), "film " * 40, question, **options)


def test_the_default_stride_gives_way_to_a_long_question(byte_tokenizer):
    windows = windows_of(byte_tokenizer(), "film " * 40, "the film and the actor served good food", stride=None)
    room = len(windows[0].tokens)
    assert 1 < room <= 15
    shared = set(windows[0].tokens.starts.tolist()) & set(windows[1].tokens.starts.tolist())
    assert len(shared) == room // 2


def test_a_context_without_a_token_is_refused(fast_tokenizer):
    with pytest.raises(InputError, match="the context has no token for this model, so there is no answer in it"):
        windows_of(fast_tokenizer(), "\u2003")


def test_a_hundred_thousand_words_take_memory_in_proportion(fast_tokenizer, tiny_words):
    context = " ".join(tiny_words * 5600)
    tracemalloc.start()
    windows = windows_of(fast_tokenizer(), context, max_length=64, stride=None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(context.split()) > 100_000
    assert len(windows) > 3000
    assert peak < 150_000_000
