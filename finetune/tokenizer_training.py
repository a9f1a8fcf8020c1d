"""A tokenizer trained on the texts of a training split: the same one in every process and on every run.

Six kinds. ``wordlevel``: lower-case words and punctuation marks, and each Chinese character by itself; what is rare
is one unknown word. ``byte-bpe``: pieces of words merged from bytes (Sennrich et al. 2016, Radford et al. 2019), so
that nothing is unknown. ``masked-bpe``: the same of single words and punctuation marks, spaces aside, with a token for
a masked word: what stands beside a mask is read as it is beside any word. ``byte-words``: bytes, with a space before
every word; there is nothing to train. For networks that write, and give back what they read: ``cased-bpe``, like
``byte-bpe`` with letters as they are, and ``characters``, of which those never seen are one unknown character.
WordPiece and Unigram are left out: trained twice, they differ.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from ..pipelines.errors import DataError, UsageError
from ..pipelines.tokenization import TextTokenizer

PADDING, UNKNOWN, START, SEPARATOR, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"

# Padding first, so that its id is 0.
SPECIAL_TOKENS = [PADDING, UNKNOWN, START, SEPARATOR]

BEGINNING, END = "<s>", "</s>"

WRITING_TOKENS = [PADDING, UNKNOWN, BEGINNING, END]
"""Special tokens of the kinds for networks that write."""

Kind = Literal["wordlevel", "byte-bpe", "masked-bpe", "byte-words", "cased-bpe", "characters"]

KINDS: tuple[Kind, ...] = get_args(Kind)

WRITING_KINDS: tuple[Kind, ...] = ("cased-bpe", "characters")

NUM_BYTES = 256

BYTES_PER_WORD = 5
"""Of a word or mark with the space before it, in English and Chinese; by it limits made for words are set."""

WORD = (
    r"\p{Han}"  # Chinese has no spaces
    r"|(?:\p{L}\.){2,}"  # U.S.
    r"|\p{N}+(?:[.,:/-]\p{N}+)*"  # 1,000.50 and 1996-08-22
    r"|['’](?:s|S|re|ve|ll|d|m)(?!\p{L})"  # Jim's
    r"|[[\p{L}\p{M}\p{N}]&&[^\p{Han}]]+(?:[-&][[\p{L}\p{M}\p{N}]&&[^\p{Han}]]+)*"  # AL-AIN
    r"|\S"  # punctuation
)
"""What one word is for ``byte-words`` and ``masked-bpe``, near to how the Penn Treebank splits English."""

# From this many texts on, a word seen once is left to the unknown word, whose vector is thereby trained; of fewer texts
# it would take most words away.
ENOUGH_TEXTS = 1000


def train_tokenizer(
    texts: Iterable[str],
    kind: Kind,
    vocab_size: int,
    max_length: int | None,
    *,
    has_token_types: bool = False,
    begins_texts: bool = False,
    ends_texts: bool = False,
) -> TextTokenizer:
    """A tokenizer for these texts, with padding id 0; the same texts in the same order give the same one.

    With ``wordlevel`` and ``byte-words`` a text stands alone; the texts of a pair are joined by [SEP], or by nothing
    where token types tell them apart; with ``byte-bpe`` and ``masked-bpe`` a text begins with [CLS] and ends
    with [SEP], as BERT has it. With ``cased-bpe`` and ``characters`` it stands alone, or ends with </s>.

    Args:
        texts: read once, in a stream.
        kind: one of `KINDS`.
        vocab_size: the most entries, special tokens included; few texts give fewer.
        max_length: the most tokens of a text, kept in the tokenizer's files; None for no limit.
        has_token_types: whether it marks the second text of a pair with token type 1.
        begins_texts: for ``cased-bpe`` and ``characters``: whether it puts <s> before a text.
        ends_texts: for ``cased-bpe`` and ``characters``: whether it puts </s> behind a text.

    Raises:
        UsageError: ``kind`` is none of these, or ``vocab_size`` is too small for it.
        DataError: there is no text, or none with a word in it.
    """
    if kind not in KINDS:
        raise UsageError(f"tokenizer kind is '{kind}', expected one of {', '.join(KINDS)}.")
    smallest = len(SPECIAL_TOKENS) + (kind == "masked-bpe") + (1 if kind in ("wordlevel", "characters") else NUM_BYTES)
    if vocab_size < smallest:
        raise UsageError(f"vocab_size is {vocab_size}, expected at least {smallest} for a {kind} tokenizer.")
    stream = iter(texts)
    first_texts = list(itertools.islice(stream, ENOUGH_TEXTS))
    if not any(text.strip() for text in first_texts):
        raise DataError("there are no texts to train a tokenizer on; expected at least one text that is not empty.")
    every_text = itertools.chain(first_texts, stream)
    if kind == "byte-words":
        tokenizer = _byte_words()
    elif kind == "wordlevel":
        min_frequency = 2 if len(first_texts) == ENOUGH_TEXTS else 1
        tokenizer = _train_words(every_text, vocab_size, min_frequency, has_token_types)
    elif kind == "characters":
        tokenizer = _collect_characters(every_text, vocab_size)
    elif kind == "cased-bpe":
        tokenizer = _train_cased_bytes(every_text, vocab_size)
    elif kind == "masked-bpe":
        tokenizer = _train_masked_bytes(every_text, vocab_size)
    else:
        tokenizer = _train_bytes(every_text, vocab_size)
    if kind in WRITING_KINDS:
        if begins_texts or ends_texts:
            before, after = f"{BEGINNING} " * begins_texts, f" {END}" * ends_texts
            tokenizer.post_processor = processors.TemplateProcessing(
                single=f"{before}$A{after}",
                pair=f"{before}$A{after} $B{after}",
                special_tokens=[(token, tokenizer.token_to_id(token)) for token in (BEGINNING, END)],
            )
        return TextTokenizer.from_backend(tokenizer, _writing_settings(max_length))
    settings = _settings(max_length, has_token_types)
    if kind == "byte-words":
        settings["tokens_per_word"] = BYTES_PER_WORD
    if kind == "masked-bpe":
        settings["mask_token"] = MASK
    return TextTokenizer.from_backend(tokenizer, settings)


def _train_words(texts: Iterator[str], vocab_size: int, min_frequency: int, has_token_types: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({}, unk_token=UNKNOWN))
    # Lower case, no accents, no control characters, spaces around Chinese characters.
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=SPECIAL_TOKENS, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    pair = "$A $B:1" if has_token_types else f"$A {SEPARATOR} $B:1"
    tokenizer.post_processor = _template(tokenizer, single="$A", pair=pair)
    return tokenizer


def _train_bytes(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    template = _template(tokenizer, single=f"{START} $A {SEPARATOR}", pair=f"{START} $A {SEPARATOR} $B:1 {SEPARATOR}:1")
    # The space before a word is part of its first token, but of no answer or entity that begins with it.
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), template])
    return tokenizer


def _train_masked_bytes(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    """As `_train_bytes`, of words that each have a space before them, whatever stands before them in the text.

    Else "[MASK]." would be read otherwise than "film.": a tokenizer takes a text apart at a special token, and puts a
    space before what follows.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = _spaced_words()
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[*SPECIAL_TOKENS, MASK],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = _template(
        tokenizer, single=f"{START} $A {SEPARATOR}", pair=f"{START} $A {SEPARATOR} $B:1 {SEPARATOR}:1"
    )
    return tokenizer


def _train_cased_bytes(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    # No space is put before the first word: what is decoded must be what was encoded.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=WRITING_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _collect_characters(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    """Each character is a token; of more than ``vocab_size`` the rarest are unknown."""
    counts = Counter[str]()
    for text in texts:
        counts.update(text)
    frequent = sorted(counts, key=lambda character: (-counts[character], character))
    kept = sorted(frequent[: vocab_size - len(WRITING_TOKENS)])
    vocabulary = {token: index for index, token in enumerate([*WRITING_TOKENS, *kept])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    # a line break is a character too
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()  # no spaces between tokens
    tokenizer.add_special_tokens(WRITING_TOKENS)
    return tokenizer


def _byte_words() -> Tokenizer:
    """Bytes, whose ids are 4 + byte, with a space before every word; see `models/bilstm_crf.py`."""
    letters = _letters_of_bytes()
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _spaced_words()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    # A question and its context; [CLS] is the place of "no answer".
    tokenizer.post_processor = _template(tokenizer, single="$A", pair=f"{START} $A {SEPARATOR} $B:1")
    return tokenizer


def _spaced_words() -> pre_tokenizers.PreTokenizer:
    """Splits a text into words and marks, as bytes, each with a space before it."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )


def _letters_of_bytes() -> list[str]:
    """The letter that stands for each byte in byte-level tokens: itself where it can be printed, else one above 255."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = iter(range(NUM_BYTES, 2 * NUM_BYTES))
    return [chr(byte if byte in printable else next(others)) for byte in range(NUM_BYTES)]


def _template(tokenizer: Tokenizer, *, single: str, pair: str) -> processors.TemplateProcessing:
    special_tokens = [(token, tokenizer.token_to_id(token)) for token in (START, SEPARATOR)]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=special_tokens)


def _writing_settings(max_length: int | None) -> dict[str, Any]:
    """As `_settings`, for networks that write."""
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PADDING,
        "unk_token": UNKNOWN,
        "bos_token": BEGINNING,
        "eos_token": END,
        "padding_side": "right",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    return settings if max_length is None else settings | {"model_max_length": max_length}


def _settings(max_length: int | None, has_token_types: bool) -> dict[str, Any]:
    """The content of ``tokenizer_config.json``, as ``transformers.AutoTokenizer`` reads it."""
    names = ["input_ids", "attention_mask"]
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PADDING,
        "unk_token": UNKNOWN,
        "cls_token": START,
        "sep_token": SEPARATOR,
        "padding_side": "right",
        "clean_up_tokenization_spaces": False,
        "model_input_names": [names[0], "token_type_ids", names[1]] if has_token_types else names,
    }
    if max_length is not None:
        settings["model_max_length"] = max_length
    return settings
