"""Text to token ids and padded tensors: one small interface over tokenizers and over transformers' tokenizers.

A checkpoint that Quintet trained needs only the tokenizers package; any other checkpoint brings a transformers
tokenizer. Encoding never cuts: what is longer than the model takes is split by ``windows`` or cut by the caller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy
import torch
from tokenizers import Tokenizer

from .encodings import Alignment, Encoded, cut, window_starts
from .errors import UsageError, WeightsError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerBase

TOKENIZER_FILE, TOKENIZER_SETTINGS_FILE = "tokenizer.json", "tokenizer_config.json"

# transformers writes 1e30 for "no limit"; no text model has been trained on texts of a million tokens.
NO_LIMIT = 1_000_000


class TextTokenizer:
    """Encodes texts, splits them into windows, and pads batches.

    Attributes:
        max_length: the most tokens, special tokens included, that the model takes; None if there is no limit.
        pad_id: the id that fills up shorter texts.
        padding_side: where it fills up.
        settings: content of ``tokenizer_config.json``; empty for a transformers tokenizer, which keeps its own.
        transformers_tokenizer: the wrapped transformers tokenizer; None for a light one.
    """

    def __init__(
        self,
        backend: Tokenizer | None,
        *,
        max_length: int | None,
        pad_id: int,
        pad_type_id: int = 0,
        padding_side: Literal["left", "right"] = "right",
        has_token_types: bool = False,
        settings: Mapping[str, Any] | None = None,
        transformers_tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        self._backend = backend
        self.max_length = max_length
        self.pad_id, self.pad_type_id, self.padding_side = pad_id, pad_type_id, padding_side
        self.has_token_types = has_token_types
        self.settings = dict(settings or {})
        self.transformers_tokenizer = transformers_tokenizer

    @classmethod
    def from_folder(cls, folder: Path, *, name: str | None = None) -> TextTokenizer:
        """The light tokenizer kept in ``folder`` as ``tokenizer.json`` and ``tokenizer_config.json``.

        Args:
            folder: a checkpoint folder.
            name: how errors call the checkpoint; its base name if None.

        Raises:
            WeightsError: a file is missing or cannot be read, or no padding token is named.
        """
        name = name or folder.name
        for file in (TOKENIZER_FILE, TOKENIZER_SETTINGS_FILE):
            if not (folder / file).is_file():
                raise WeightsError(f"checkpoint '{name}' has no {file}; save or fetch the checkpoint again.")
        try:
            settings = json.loads((folder / TOKENIZER_SETTINGS_FILE).read_text(encoding="utf-8"))
        except ValueError as error:
            raise WeightsError(
                f"{TOKENIZER_SETTINGS_FILE} of checkpoint '{name}' is not JSON ({error}); fetch the checkpoint again."
            ) from error
        try:
            backend = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        except Exception as error:  # tokenizers raises plain Exception for whatever is wrong
            raise WeightsError(
                f"{TOKENIZER_FILE} of checkpoint '{name}' is not a tokenizer ({error}); fetch the checkpoint again."
            ) from error
        return cls.from_backend(backend, settings, name=name)

    @classmethod
    def from_backend(cls, backend: Tokenizer, settings: Mapping[str, Any], *, name: str = "tokenizer") -> TextTokenizer:
        """A light tokenizer with the settings that its ``tokenizer_config.json`` holds or shall hold.

        Raises:
            WeightsError: ``settings`` names no padding token, or one that is not in the vocabulary.
        """
        pad_id = backend.token_to_id(_text_of(settings.get("pad_token")) or "")
        if pad_id is None:
            raise WeightsError(
                f"{TOKENIZER_SETTINGS_FILE} of '{name}' names no pad_token that is in its vocabulary; "
                "expected for instance [PAD]. Train the tokenizer again."
            )
        return cls(
            backend,
            max_length=_limit(settings.get("model_max_length")),
            pad_id=pad_id,
            padding_side=settings.get("padding_side", "right"),
            has_token_types="token_type_ids" in settings.get("model_input_names", ()),
            settings=settings,
        )

    @classmethod
    def from_transformers(cls, tokenizer: PreTrainedTokenizerBase, *, max_length: int | None = None) -> TextTokenizer:
        """A wrapper that gives the ids which ``tokenizer(text)`` gives.

        Args:
            tokenizer: fast or slow.
            max_length: the most tokens that the model takes, where it is less than the tokenizer's own limit.
        """
        limits = [limit for limit in (_limit(tokenizer.model_max_length), max_length) if limit is not None]
        return cls(
            cast(Tokenizer, tokenizer.backend_tokenizer) if tokenizer.is_fast else None,
            max_length=min(limits, default=None),
            pad_id=_padding_id(tokenizer),
            pad_type_id=tokenizer.pad_token_type_id,
            padding_side="left" if tokenizer.padding_side == "left" else "right",
            has_token_types="token_type_ids" in tokenizer.model_input_names,
            transformers_tokenizer=tokenizer,
        )

    @property
    def backend(self) -> Tokenizer | None:
        """The fast tokenizer under this one; None for one of transformers that exists in Python only."""
        return self._backend

    @property
    def start_id(self) -> int | None:
        """The token with which a text of a network that writes begins; None where there is none."""
        return self._special("bos_token")

    @property
    def end_id(self) -> int | None:
        """The token with which a text of a network that writes ends; None where there is none."""
        return self._special("eos_token")

    @property
    def mask_id(self) -> int | None:
        """The token that stands for a word to be found; None where there is none."""
        return self._special("mask_token")

    @property
    def class_id(self) -> int | None:
        """The token that stands for a whole text, or a pair; None where there is none."""
        return self._special("cls_token")

    @property
    def tokens_per_word(self) -> int:
        """How many tokens a word has, roughly: 1, and more where they are bytes."""
        settings = self.settings
        if self.transformers_tokenizer is not None:
            settings = self.transformers_tokenizer.init_kwargs
        return int(settings.get("tokens_per_word", 1))

    @property
    def special_ids(self) -> frozenset[int]:
        """Tokens that stand for no text, such as the one for padding."""
        if self.transformers_tokenizer is not None:
            return frozenset(self.transformers_tokenizer.all_special_ids)
        added = self._backend.get_added_tokens_decoder() if self._backend is not None else {}
        return frozenset(token_id for token_id, token in added.items() if token.special)

    def _special(self, role: str) -> int | None:
        if self.transformers_tokenizer is not None:
            return getattr(self.transformers_tokenizer, f"{role}_id")
        token = _text_of(self.settings.get(role))
        return None if token is None or self._backend is None else self._backend.token_to_id(token)

    @property
    def vocab_size(self) -> int:
        """How many token ids there are, special and added ones included."""
        if self._backend is not None:
            return self._backend.get_vocab_size(with_added_tokens=True)
        return len(self._slow)

    def encode(
        self,
        texts: Sequence[str] | Sequence[Sequence[str]],
        pairs: Sequence[str] | None = None,
        *,
        aligned: bool = False,
        is_split: bool = False,
    ) -> list[Encoded]:
        """The texts as ids, in order, special tokens included, without a limit.

        Args:
            texts: the texts, or the first ones of pairs.
            pairs: the second text for each of ``texts``; None if they stand alone.
            aligned: whether to say where each token comes from.
            is_split: ``texts`` are lists of words, each of which is tokenized by itself.

        Raises:
            UsageError: ``aligned`` or ``is_split`` with a tokenizer that exists in Python only, which cannot tell.
        """
        if self._backend is None:
            if aligned or is_split:
                raise UsageError(
                    "this tokenizer does not say where its tokens stand in the text, which the task needs; use a "
                    "checkpoint with a fast tokenizer (tokenizer.json)."
                )
            return self._encode_slowly(texts, pairs)  # type: ignore[arg-type]
        self._leave_texts_whole(self._backend)
        inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        # The fast one leaves the offsets out.
        encode = self._backend.encode_batch if aligned else self._backend.encode_batch_fast
        encodings = encode(inputs, is_pretokenized=is_split)
        return [self._from_encoding(encoding, pairs is not None, aligned) for encoding in encodings]

    @staticmethod
    def _leave_texts_whole(backend: Tokenizer) -> None:
        """A tokenizer.json may ask for truncation and padding; both are ours to do."""
        if backend.truncation is not None:
            backend.no_truncation()
        if backend.padding is not None:
            backend.no_padding()

    def windows(self, encoded: Encoded, max_length: int, stride: int) -> list[Encoded]:
        """The text as overlapping windows of at most ``max_length`` tokens, each with its special tokens.

        Of a pair the longer text is split, and the shorter one stands whole in each window, or is cut to half the room.
        The last window is as long as the others: it overlaps more.

        Args:
            encoded: from ``encode``.
            max_length: the most tokens of a window, special tokens included.
            stride: how many tokens of text neighbouring windows share, as in the tokenizers package.

        Raises:
            UsageError: ``max_length`` leaves no room for ``stride`` and one more token beside the special tokens.
        """
        if len(encoded) <= max_length:
            return [encoded]
        prefix, middle, suffix = self.special_counts[encoded.first_length is not None]
        first, second = encoded.first_length, 0
        if first is None:
            first = len(encoded) - prefix - suffix
        else:
            second = len(encoded) - prefix - first - middle - suffix
        shorter = min(first, second, (max_length - prefix - middle - suffix) // 2)
        room = max_length - prefix - middle - suffix - shorter
        if room <= stride:
            raise UsageError(
                f"windows of {max_length} tokens with {stride} shared leave no room for new text beside "
                f"{prefix + middle + suffix} special tokens; choose a larger max_length or a smaller stride."
            )
        first_at, second_at = prefix, prefix + first + middle
        windows = []
        for start in window_starts(max(first, second), room, stride):
            if first >= second:
                spans = (first_at + start, first_at + start + room), (second_at, second_at + shorter)
            else:
                spans = (first_at, first_at + shorter), (second_at + start, second_at + start + room)
            windows.append(cut(encoded, prefix, spans, first_at + first, middle, suffix))
        return windows

    def pad(
        self,
        features: Sequence[Encoded | Mapping[str, Sequence[int]]],
        *,
        side: Literal["left", "right"] | None = None,
    ) -> dict[str, torch.Tensor]:
        """The batch as int64 tensors ``(batch, length)``; ``length`` is that of the longest text, and at least 1.

        They are input_ids, attention_mask (1 at the text, 0 at the padding), and token_type_ids where given.

        Args:
            features: the texts as ids.
            side: where shorter texts are filled up; None for where the tokenizer does.
        """
        rows = [row.features() if isinstance(row, Encoded) else row for row in features]
        shape = (len(rows), max(1, max((len(row["input_ids"]) for row in rows), default=1)))
        filled = {"input_ids": numpy.full(shape, self.pad_id), "attention_mask": numpy.zeros(shape, dtype=numpy.int64)}
        if rows and "token_type_ids" in rows[0]:
            filled["token_type_ids"] = numpy.full(shape, self.pad_type_id)
        for index, row in enumerate(rows):
            count = len(row["input_ids"])
            where = slice(shape[1] - count, None) if (side or self.padding_side) == "left" else slice(0, count)
            filled["attention_mask"][index, where] = 1
            for key in filled.keys() - {"attention_mask"}:
                filled[key][index, where] = row[key]
        return {key: torch.from_numpy(array) for key, array in filled.items()}

    def decode(
        self, ids: Sequence[int], *, skip_special_tokens: bool = True, clean_up_spaces: bool | None = None
    ) -> str:
        """The text that the ids stand for.

        Args:
            ids: token ids.
            skip_special_tokens: leaves special tokens out of the text.
            clean_up_spaces: takes out the space before punctuation; None for what the tokenizer does by itself.
        """
        if self.transformers_tokenizer is None and self._backend is not None:
            return self._backend.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return self._slow.decode(
            list(ids), skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=clean_up_spaces
        )

    def token_text(self, token: int) -> str | None:
        """A token as the vocabulary has it; None for an id that is in none."""
        if self._backend is not None:
            return self._backend.id_to_token(token)
        return self._slow.convert_ids_to_tokens(token)

    def save(self, folder: Path) -> list[Path]:
        """Writes the files from which this tokenizer, or ``transformers.AutoTokenizer``, loads again; their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.transformers_tokenizer is not None:
            if self.max_length is not None:
                # a tokenizer that knows no limit would let plain transformers run over the model's
                limit = min(self.max_length, self.transformers_tokenizer.model_max_length)
                self.transformers_tokenizer.model_max_length = limit
            saved = self.transformers_tokenizer.save_pretrained(folder)
            _remove_local_paths(folder / TOKENIZER_SETTINGS_FILE)
            return sorted({Path(file) for file in saved if Path(file).is_file()})
        if self._backend is None:
            raise UsageError("a tokenizer without files cannot be saved; load it from a checkpoint first.")
        self._backend.save(str(folder / TOKENIZER_FILE))
        settings = json.dumps(self.settings, indent=2, ensure_ascii=False, sort_keys=True)
        (folder / TOKENIZER_SETTINGS_FILE).write_text(settings + "\n", encoding="utf-8")
        return [folder / TOKENIZER_FILE, folder / TOKENIZER_SETTINGS_FILE]

    @cached_property
    def as_transformers(self) -> PreTrainedTokenizerBase:
        """The same tokenizer as transformers has it, for what it does beyond encoding."""
        if self.transformers_tokenizer is not None:
            return self.transformers_tokenizer
        from transformers import PreTrainedTokenizerFast

        settings = {name: value for name, value in self.settings.items() if name != "tokenizer_class"}
        return PreTrainedTokenizerFast(tokenizer_object=self._backend, **settings)

    @property
    def _slow(self) -> Any:
        """The transformers tokenizer; its call takes more than its stub says."""
        return self.transformers_tokenizer

    def _from_encoding(self, encoding: Encoding, is_pair: bool, aligned: bool) -> Encoded:
        owners = encoding.sequence_ids if is_pair or aligned else []
        return Encoded(
            encoding.ids,
            encoding.type_ids if self.has_token_types else None,
            owners.count(0) if is_pair else None,
            Alignment(encoding.offsets, encoding.word_ids, owners) if aligned else None,
        )

    def _encode_slowly(self, texts: Sequence[str], pairs: Sequence[str] | None) -> list[Encoded]:
        # verbose=False: transformers warns of each text longer than the model takes, which is ours to handle.
        arguments = [list(texts)] if pairs is None else [list(texts), list(pairs)]
        batch = self._slow(*arguments, truncation=False, padding=False, verbose=False)
        types = batch.get("token_type_ids") or [None] * len(texts)
        firsts: list[int | None] = [None] * len(texts)
        if pairs is not None:
            firsts = [len(self._slow.tokenize(text)) for text in texts]
        return [Encoded(*row) for row in zip(batch["input_ids"], types, firsts, strict=True)]

    @cached_property
    def special_counts(self) -> dict[bool, tuple[int, int, int]]:
        """How many special tokens stand before, between and after the texts, of one text (False) and of a pair (True).

        Read off one-letter texts, since a post-processor cannot be asked.
        """
        counts = {}
        if self._backend is not None:
            self._leave_texts_whole(self._backend)
        for is_pair in (False, True):
            if self._backend is not None:
                probe = self._backend.encode("a", "a") if is_pair else self._backend.encode("a")
                owners = probe.sequence_ids
            else:
                letter = self._slow.convert_tokens_to_ids(self._slow.tokenize("a"))
                ids = self._slow("a", "a")["input_ids"] if is_pair else self._slow("a")["input_ids"]
                owners = _owners(ids, letter, is_pair)
            first = [index for index, owner in enumerate(owners) if owner == 0]
            second = [index for index, owner in enumerate(owners) if owner == 1] or [first[-1]]
            middle = second[0] - first[-1] - 1 if is_pair else 0
            counts[is_pair] = (first[0], middle, len(owners) - 1 - second[-1])
        return counts


def _owners(ids: list[int], letter: list[int], is_pair: bool) -> list[int | None]:
    """Which text each id belongs to, given that each text is ``letter``; None for special tokens."""
    owners: list[int | None] = [None] * len(ids)
    start = 0
    for text in range(2 if is_pair else 1):
        while ids[start : start + len(letter)] != letter:
            start += 1
        owners[start : start + len(letter)] = [text] * len(letter)
        start += len(letter)
    return owners


def _padding_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id to pad with. Models without a padding token (GPT-2) never look at it, but find a text's end by it.

    So it must not be a token that ends a text: the end-of-text token, else the last of the vocabulary.
    """
    for token_id in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(token_id, int):
            return token_id
    return len(tokenizer) - 1


def _limit(length: Any) -> int | None:
    return int(length) if length is not None and 0 < length < NO_LIMIT else None


def _text_of(token: Any) -> str | None:
    """A special token's text; tokenizer_config.json holds it as text or as an object with ``content``."""
    return token.get("content") if isinstance(token, Mapping) else token


def _remove_local_paths(path: Path) -> None:
    """Takes out the entries by which transformers remembers where a tokenizer was loaded from."""
    if not path.is_file():
        return
    settings = json.loads(path.read_text(encoding="utf-8"))
    kept = {
        key: value for key, value in settings.items() if key not in ("name_or_path", "is_local", "local_files_only")
    }
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
