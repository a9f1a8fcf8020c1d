"""Sentence similarity: one vector for each text, and how alike the vectors of two texts are.

    token vectors -> one vector (mean, cls, max or last token) -> perhaps linear layers -> perhaps length 1

The input and output of comparisons are those of the Hub's sentence-similarity task; vectors are those of
sentence-transformers for its folders (Reimers and Gurevych 2019, "Sentence-BERT"). Unlike there, a long text is read to
its end unless ``truncation=True``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch

from .base import ItemOutput, Pipeline, WindowOutput
from .batching import Sample
from .call_options import check_choice, check_count, merge_options
from .errors import InputError, UsageError
from .feature_extraction import CountedWindow, encode_counted, hidden_states, without_head
from .models.pooling import max_pool, mean_pool
from .models.recurrent import PooledEncoder
from .sentence_settings import POOLINGS, SentenceSettings, read_sentence_settings
from .text_inputs import checked_text, is_single_text, read_text_input
from .token_batches import checked_output, padded_batch
from .windows import merge_windows

if TYPE_CHECKING:
    from .checkpoints import Checkpoint
    from .encodings import Encoded

Form = Literal["vector", "score", "scores"]


@dataclass(frozen=True)
class SentenceOptions:
    """What a call may ask for.

    Attributes:
        pooling: how token vectors become one: ``mean``, ``cls`` (the first token's), ``max`` or ``last``; None for the
            checkpoint's own way, mean where it says nothing.
        normalize: whether vectors get the length 1; None for the checkpoint's own way, no where it says nothing.
        prompt_name: which of the checkpoint's prompts is put before each text; None for its default, if it has one.
        truncation: True cuts long texts instead of reading them in windows.
        max_length: tokens, special ones included, of a window, or to which texts are cut; None for the checkpoint's.
    """

    pooling: str | None = None
    normalize: bool | None = None
    prompt_name: str | None = None
    truncation: bool = False
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, (None, *POOLINGS))
        check_choice("normalize", self.normalize, (None, True, False))
        check_choice("truncation", self.truncation, (True, False))
        if self.max_length is not None:
            check_count("max_length", self.max_length)


class SentenceInput(NamedTuple):
    """The texts of one input, and what is asked about them."""

    form: Form
    texts: list[str]


class SentenceWindow(NamedTuple):
    """What the model sees of a text, and what it is for.

    Attributes:
        window: the text or a window of it.
        pooling: one of `POOLINGS`.
        form: what is asked about the input's texts.
        text: number of the text within its input.
    """

    window: CountedWindow
    pooling: str
    form: Form
    text: int


class SentenceSimilarityPipeline(Pipeline):
    """Vectors of texts, and their similarities.

        embed = pipeline("sentence-similarity", model="sentence-transformers/all-MiniLM-L6-v2")
        embed.embed(["A film.", "A movie."])                   # float32 (2, hidden)
        embed("A film.")                                       # float32 (hidden,)
        embed({"source_sentence": "A film.", "sentences": ["A movie.", "A dog."]})     # [0.8, 0.1]
        embed({"text": "A film.", "text_pair": "A movie."})    # 0.8

    Args:
        checkpoint: model and tokenizer; a head is left out. Of a classifier of our own families the vector is what its
            last layer reads.
        sentences: how vectors are made; None for what the checkpoint's files say.
        settings: ``batch_size``, ``on_error``, and the fields of `SentenceOptions`.
    """

    task = "sentence-similarity"
    option_names = ("pooling", "normalize", "prompt_name", "truncation", "max_length")
    answer_columns = ("score", "scores", "vector")
    sure_columns = 0
    options = SentenceOptions()

    def __init__(self, checkpoint: Checkpoint, *, sentences: SentenceSettings | None = None, **settings: Any) -> None:
        self.sentences = sentences or read_sentence_settings(checkpoint)
        self._is_classifier = checkpoint.light and hasattr(checkpoint.model, "classifier")
        super().__init__(without_head(checkpoint), **settings)

    def embed(self, texts: str | Iterable[str], **options: Any) -> np.ndarray:
        """The vectors of ``texts``, float32 ``(texts, hidden)``; a single text gives one row.

        Raises:
            InputError: a text is wrong.
            UsageError: an option is wrong.
        """
        settings = self.read_options(options)
        outputs = self.outputs([texts] if is_single_text(texts) else texts, **options)
        vectors = [self._vectors(output, settings)[0] for output in outputs]
        return np.stack(vectors) if vectors else np.zeros((0, self._width()), np.float32)

    def read_options(self, options: dict[str, Any]) -> SentenceOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        merged = merge_options(self.options, options, self.option_names)
        prompts = self.sentences.prompts or {}
        if merged.prompt_name is not None and merged.prompt_name not in prompts:
            raise UsageError(
                f"prompt_name is '{merged.prompt_name}'; checkpoint '{self.checkpoint.name}' has "
                f"{', '.join(prompts) or 'no prompts'}."
            )
        if merged.pooling is not None and self._is_classifier:
            raise UsageError(
                f"pooling is {merged.pooling!r}, but checkpoint '{self.checkpoint.name}' is a "
                f"{self.checkpoint.config.model_type} classifier with a pooling of its own; leave pooling out."
            )
        return merged

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one text or comparison, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: SentenceOptions) -> list[list[Sample]]:
        """The windows of each text of each input.

        Raises:
            InputError: an item is none of the forms of input, or one of its texts has no token.
        """
        inputs = [read_sentences(item) for item in items]
        texts = [self._prompted(text, settings) for each in inputs for text in each.texts]
        limit = self._limit(settings)
        encoded = iter(encode_counted(self.tokenizer, texts, limit, is_cut=settings.truncation))
        pooling = settings.pooling or self.sentences.pooling
        samples: list[list[Sample]] = []
        for each in inputs:
            windows = [
                SentenceWindow(window, pooling, each.form, number)
                for number in range(len(each.texts))
                for window in next(encoded)
            ]
            samples.append([Sample(window, len(window.window.encoded)) for window in windows])
        return samples

    def preprocess(self, texts: Sequence[str], **options: Any) -> list[Encoded]:
        """The texts as the model is trained on them: with the checkpoint's prompt, cut to what it takes.

        Args:
            texts: the texts.
            options: as in a call.

        Raises:
            InputError: a text has no token.
        """
        settings = self.read_options(options)
        prompted = [self._prompted(text, settings) for text in texts]
        windows = encode_counted(self.tokenizer, prompted, self._limit(settings), is_cut=True)
        return [of_text[0].encoded for of_text in windows]

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """The vector of each window, float32 ``(hidden,)``."""
        windows: list[SentenceWindow] = [sample.features for sample in samples]
        pooled = self._pooled([window.window for window in windows], windows[0].pooling).float().cpu().numpy()
        return [
            checked_output(vector, window.window.tokens, (window.form, window.text))
            for vector, window in zip(pooled, windows, strict=True)
        ]

    def merge(self, output: ItemOutput) -> np.ndarray:
        """The vectors of the texts of an input, float32 ``(texts, hidden)``."""
        return self._vectors(output, self.options)

    def postprocess(self, output: ItemOutput, settings: SentenceOptions) -> np.ndarray | float | list[float]:
        """Of a text its vector; of a pair their similarity; of a source sentence those to all the others."""
        vectors = self._vectors(output, settings)
        form: Form = output.contexts[0][0]
        if form == "vector":
            return vectors[0]
        scores = self.similarities(vectors[:1], vectors[1:])[0].tolist()
        return scores[0] if form == "score" else scores

    def similarities(self, vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
        """How alike vectors are, by the checkpoint's measure: cosine unless it says dot product.

        Args:
            vectors: float32 ``(n, hidden)``.
            others: float32 ``(m, hidden)``.

        Returns:
            float32 ``(n, m)``; cosines in [-1, 1].
        """
        if self.sentences.similarity == "dot":
            return vectors @ others.T
        return unit_length(vectors) @ unit_length(others).T

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """``vector`` of a text, ``score`` of a pair, ``scores`` of a source sentence and others."""
        if isinstance(answer, np.ndarray):
            return {"vector": answer.tolist()}
        return {"scores": answer} if isinstance(answer, list) else {"score": answer}

    def size(self, item: Any) -> int:
        """Characters."""
        if isinstance(item, Mapping):
            texts = [item.get(name) for name in ("text", "text_pair", "source_sentence")]
            return sum(len(text) for text in (*texts, *(item.get("sentences") or ())) if isinstance(text, str))
        return super().size(item)

    def _vectors(self, output: ItemOutput, settings: SentenceOptions) -> np.ndarray:
        """The vectors of the texts, ``(texts, hidden)``; of a long text the mean over its tokens, by its windows."""
        windows: dict[int, list[int]] = {}
        for place, (_, text) in enumerate(output.contexts):
            windows.setdefault(text, []).append(place)
        vectors = np.stack([self._merged(output, places, settings) for places in windows.values()])
        for step in self.sentences.steps:
            vectors = step(vectors)
        is_normal = self.sentences.normalize if settings.normalize is None else settings.normalize
        return unit_length(vectors) if is_normal else vectors

    def _merged(self, output: ItemOutput, places: Sequence[int], settings: SentenceOptions) -> np.ndarray:
        of_windows = [output.windows[place] for place in places]
        if (settings.pooling or self.sentences.pooling) == "max" and not self._is_classifier:
            return np.max(of_windows, axis=0)
        return merge_windows(of_windows, [output.lengths[place] for place in places])

    def _pooled(self, windows: Sequence[CountedWindow], pooling: str) -> torch.Tensor:
        """One vector for each window, ``(batch, hidden)``."""
        rows = [window.encoded for window in windows]
        if self._is_classifier:
            return self._read_by_classifier(rows)
        hidden = hidden_states(self.checkpoint, rows).float()  # (batch, length, hidden)
        counts = torch.zeros(hidden.shape[:2], dtype=torch.bool)  # (batch, length)
        for of_row, window in zip(counts, windows, strict=True):
            of_row[window.counted] = True
        lengths = torch.tensor([len(row) for row in rows], device=hidden.device)
        return pool_tokens(hidden, counts.to(hidden.device), lengths, pooling)

    def _read_by_classifier(self, rows: Sequence[Encoded]) -> torch.Tensor:
        """What the last layer of a classifier of ours reads, ``(batch, features)``.

        Of one of pairs it is the vector of a text, before two of them are compared.
        """
        if isinstance(self.checkpoint.model, PooledEncoder):
            batch = {name: tensor.to(self.device) for name, tensor in padded_batch(self.tokenizer, rows).items()}
            return self.checkpoint.model.encode(batch["input_ids"], batch.get("attention_mask"))
        read: list[torch.Tensor] = []
        classifier: Any = self.checkpoint.model.classifier
        handle = classifier.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
        try:
            self.checkpoint.outputs(padded_batch(self.tokenizer, rows))
        finally:
            handle.remove()
        return read[0]

    def _prompted(self, text: str, settings: SentenceOptions) -> str:
        """The text as the model was trained to see it."""
        name = settings.prompt_name or self.sentences.default_prompt
        prompted = f"{(self.sentences.prompts or {}).get(name, '') if name else ''}{text}".strip()
        return prompted.lower() if self.sentences.is_lower else prompted

    def _limit(self, settings: SentenceOptions) -> int | None:
        """The most tokens of a window, special ones included."""
        limits = (settings.max_length, self.sentences.max_length, self.tokenizer.max_length)
        return min((limit for limit in limits if limit is not None), default=None)

    def _width(self) -> int:
        """How many numbers a vector has."""
        return len(self.embed(["a"])[0])


def read_sentences(item: Any) -> SentenceInput:
    """The texts of an input.

    Args:
        item: a text; a pair ``{"text": …, "text_pair": …}``; or, as on the Hub,
            ``{"source_sentence": …, "sentences": […]}``.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(item, Mapping) and "source_sentence" in item:
        others = item.get("sentences")
        if item.keys() != {"source_sentence", "sentences"} or not isinstance(others, list | tuple) or not others:
            raise InputError(
                "expected a dict with 'source_sentence' and a list of at least one as 'sentences', got one with "
                f"{', '.join(map(repr, item))}."
            )
        texts = [checked_text(text, "a text among 'sentences'") for text in others]
        return SentenceInput("scores", [checked_text(item["source_sentence"], "a text as 'source_sentence'"), *texts])
    text, pair = read_text_input(item)
    return SentenceInput("vector", [text]) if pair is None else SentenceInput("score", [text, pair])


def pool_tokens(hidden: torch.Tensor, counts: torch.Tensor, lengths: torch.Tensor, pooling: str) -> torch.Tensor:
    """One vector for each text, ``(batch, features)``.

    Args:
        hidden: ``(batch, length, features)``, padding on the right.
        counts: ``(batch, length)`` bool, True at the tokens that count.
        lengths: tokens of each text, ``(batch,)``.
        pooling: one of `POOLINGS`.
    """
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
    return max_pool(hidden, counts) if pooling == "max" else mean_pool(hidden, counts)


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """``vectors`` (texts, hidden) divided by their lengths; a vector of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)
