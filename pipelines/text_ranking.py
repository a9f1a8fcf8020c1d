"""Text ranking and semantic search: the documents that answer a query best, with their scores.

Two kinds of checkpoints do. An encoder makes a vector of each text, and documents are ranked by the similarity of their
vectors to the query's (Reimers and Gurevych 2019, "Sentence-BERT"). A cross-encoder, a classifier with one label, reads
query and document together (Nogueira and Cho 2019, "Passage Re-ranking with BERT"): slower, and better.
Documents come as a stream; only the best of each query are kept.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import ItemOutput, OnError, Pipeline, WindowOutput
from .batching import WINDOW_ITEMS, BatchLimits, Sample, read_ahead
from .call_options import check_choice, check_count, merge_options
from .errors import DataError, InputError, UsageError
from .ranked_documents import Documents, RankedDocument, Ranking, Texts, VectorFile
from .run_parts import checkpoint_digest
from .sentence_similarity import SentenceOptions, SentenceSimilarityPipeline
from .text_inputs import TextInput, is_single_text, read_one_text
from .token_batches import checked_output, class_logits
from .windows import encode_cut, shared_tokens

if TYPE_CHECKING:
    from .checkpoints import Checkpoint

QUERY_PROMPTS, DOCUMENT_PROMPTS = ("query",), ("document", "passage", "corpus")
"""What checkpoints call the prompts for queries and documents; the first one found is used, as in
sentence-transformers."""


@dataclass(frozen=True)
class TextRankingOptions:
    """What a call may ask for.

    Attributes:
        documents: what is ranked: a list of texts, or a data file, folder or glob.
        texts: the same, to be read.
        document_column: the column of ``documents`` with the text; None finds it by its name.
        top_k: how many documents are given for each query.
        vectors: a ``.npy`` file where an encoder's vectors of the documents are kept for the next time.
        truncation: True cuts long texts. Otherwise they are read in windows: an encoder's vector is the mean over all
            tokens, a cross-encoder's score that of the best window (Dai and Callan 2019, "Deeper Text Understanding for
            IR with Contextual Neural Language Modeling", MaxP).
    """

    documents: Any = field(default=None, repr=False)
    texts: Documents | None = None
    document_column: str | None = None
    top_k: int = 10
    vectors: str | Path | None = None
    truncation: bool = False

    def __post_init__(self) -> None:
        check_count("top_k", self.top_k)
        check_choice("truncation", self.truncation, (True, False))


class TextRankingPipeline(Pipeline):
    """Ranks documents by how well they answer a query.

        search("how do I reset it?", documents=["Hold the button …", …], top_k=3)
        # [{'corpus_id': 0, 'score': 0.71, 'text': 'Hold the button …'}, …]
        search(["one query", "another"], documents="help.csv", vectors="help.npy")      # a list for each query

    Args:
        checkpoint: an encoder, or a classifier of pairs with one label.
        settings: ``batch_size``, ``on_error``, and of `TextRankingOptions` all but ``texts``.

    Raises:
        UsageError: the checkpoint is a classifier of several labels.
    """

    task = "text-ranking"
    option_names = ("documents", "document_column", "top_k", "vectors", "truncation")
    answer_columns = ("document", "score", "corpus_id", "ranking")
    sure_columns = 4
    options = TextRankingOptions()

    def __init__(self, checkpoint: Checkpoint, **settings: Any) -> None:
        self._encoder = None if is_cross_encoder(checkpoint) else SentenceSimilarityPipeline(checkpoint)
        super().__init__(checkpoint if self._encoder is None else self._encoder.checkpoint, **settings)

    def read_options(self, options: dict[str, Any]) -> TextRankingOptions:
        """The options of a call over those of the pipeline.

        Raises:
            DataError: there is no such file of documents.
            UsageError: an option does not exist or has a value it cannot have.
        """
        merged = merge_options(self.options, options, self.option_names)
        if merged.vectors is not None and self._encoder is None:
            raise UsageError(
                f"vectors is '{Path(merged.vectors).name}', but '{self.checkpoint.name}' is a cross-encoder, which "
                "makes no vectors; leave vectors out."
            )
        if merged.documents is None or not {"documents", "document_column"} & options.keys():
            return merged
        return replace(merged, texts=Documents(merged.documents, merged.document_column))

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one query, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: Any) -> list[list[Sample]]:
        """The windows of each text for an encoder, of each pair of query and document for a cross-encoder.

        Raises:
            InputError: an item is not a text, or has no token.
        """
        if self._encoder is not None:
            return self._encoder.samples(items, settings)
        queries, documents = [item.text for item in items], [item.pair for item in items]
        limit = self.tokenizer.max_length
        if limit is not None and settings.truncation:
            windows = [[each] for each in encode_cut(self.tokenizer, queries, documents, limit, "longest_first")]
        else:
            windows = [
                [each] if limit is None else self.tokenizer.windows(each, limit, shared_tokens(limit))
                for each in self.tokenizer.encode(queries, documents)
            ]
        return [[Sample(window, len(window)) for window in of_pair] for of_pair in windows]

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """Vectors float32 ``(hidden,)`` of an encoder, logits ``(1,)`` of a cross-encoder."""
        if self._encoder is not None:
            return self._encoder.forward(samples)
        logits = class_logits(self.checkpoint, [sample.features for sample in samples])
        return [checked_output(row, sample.length) for row, sample in zip(logits, samples, strict=True)]

    def postprocess(self, output: ItemOutput, settings: TextRankingOptions) -> list[RankedDocument]:
        """The best documents for a query, best first."""
        return output.contexts[0]

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The best document with its score and number; all of them stand in ``ranking``."""
        best = answer[0] if answer else {"text": None, "score": None, "corpus_id": None}
        named = {"document": best["text"], "score": best["score"], "corpus_id": best["corpus_id"]}
        return {**named, "ranking": answer}

    def _stream(
        self, inputs: Iterable[Any], settings: TextRankingOptions, limits: BatchLimits, on_error: OnError
    ) -> Iterator[ItemOutput | InputError]:
        """The ranking of each query, in order; documents are read once for each window of queries.

        Between windows an encoder's vectors lie in a file, which is a temporary one unless ``vectors`` names one.

        Raises:
            DataError: a document is wrong and ``on_error`` is ``raise``; or a file of them cannot be read.
            UsageError: there are no documents.
        """
        if settings.texts is None:
            raise UsageError(
                "text-ranking needs documents to rank; give documents=['one text', 'another'] or documents='docs.csv' "
                "(--options documents=docs.csv)."
            )
        with TemporaryDirectory() as folder:
            vectors = None
            if self._encoder is not None and settings.vectors is not None:
                vectors = VectorFile(settings.vectors, self._fingerprint(settings))
            elif self._encoder is not None and not (isinstance(inputs, list | tuple) and len(inputs) <= WINDOW_ITEMS):
                vectors = VectorFile(Path(folder) / "documents.npy", "")
            position = 0
            for window in read_ahead(inputs, self.size):
                for outcome in self._rank(window, settings, limits, on_error, vectors):
                    placed = outcome.at(position, outcome.source) if isinstance(outcome, InputError) else outcome
                    if isinstance(placed, InputError) and on_error == "raise":
                        raise placed
                    yield placed
                    position += 1

    def _rank(
        self,
        items: Sequence[Any],
        settings: TextRankingOptions,
        limits: BatchLimits,
        on_error: OnError,
        vectors: VectorFile | None,
    ) -> list[ItemOutput | InputError]:
        """The ranking of each query, or what is wrong with it."""
        queries: list[Any] = [_read(item) for item in items]
        if self._encoder is not None:
            queries = self._run(queries, self._encoding(QUERY_PROMPTS, settings), limits)
        rankings = {
            place: Ranking(settings.top_k) for place, query in enumerate(queries) if not isinstance(query, InputError)
        }
        good = [queries[place] for place in rankings]
        if self._encoder is not None:
            chunks = self._similarities(good, settings, limits, vectors)
        else:
            chunks = self._pair_scores(good, settings, limits)
        first_id, errors = 0, list[str]()
        for texts, scores in chunks if good else ():
            errors.extend(_describe(first_id + place, text) for place, text in enumerate(texts) if not _is_text(text))
            if errors and on_error == "raise":
                raise DataError(errors[0])
            for ranking, of_query in zip(rankings.values(), scores, strict=True):
                ranking.add(first_id, of_query, texts)
            first_id += len(texts)
        if errors:
            warnings.warn(f"{len(errors)} of {first_id} documents are left out; the first: {errors[0]}", stacklevel=2)
        return [
            ItemOutput([], [], [rankings[place].rows()]) if place in rankings else query
            for place, query in enumerate(queries)
        ]

    def _similarities(
        self,
        queries: Sequence[ItemOutput],
        settings: TextRankingOptions,
        limits: BatchLimits,
        vectors: VectorFile | None,
    ) -> Iterator[tuple[Texts, np.ndarray]]:
        """All documents, some at a time, and their similarities ``(queries, n)``; nan for one that has no vector."""
        encoder: Any = self._encoder
        of_queries = np.stack([encoder.merge(query)[0] for query in queries])  # (queries, hidden)
        kept = None if vectors is None else vectors.read()
        writing = nullcontext() if vectors is None or kept is not None else vectors.writing()
        first_id = 0
        with writing as write:
            for texts in read_ahead(settings.texts or (), self.size):
                if kept is not None:
                    of_texts = kept[first_id : first_id + len(texts)]  # (n, hidden)
                else:
                    outputs = self._run(texts, self._encoding(DOCUMENT_PROMPTS, settings), limits)
                    # What has no token is found out here only.
                    texts = _without_failed(texts, outputs)
                    nothing = np.full_like(of_queries[0], np.nan)
                    of_texts = np.stack(
                        [encoder.merge(output)[0] if isinstance(output, ItemOutput) else nothing for output in outputs]
                    )
                if write is not None:
                    write(of_texts)
                yield texts, encoder.similarities(of_queries, of_texts)
                first_id += len(texts)

    def _pair_scores(
        self, queries: Sequence[str], settings: TextRankingOptions, limits: BatchLimits
    ) -> Iterator[tuple[Texts, np.ndarray]]:
        """All documents, some at a time, and a cross-encoder's scores ``(queries, n)``; nan for one that has none."""
        activation = read_activation(self.checkpoint)
        for texts in read_ahead(settings.texts or (), self.size):
            scores = np.full((len(queries), len(texts)), np.nan, np.float32)
            for row, query in enumerate(queries):
                pairs = [TextInput(query, text) if isinstance(text, str) else text for text in texts]
                outputs = self._run(pairs, settings, limits)
                for column, output in enumerate(outputs):
                    if isinstance(output, ItemOutput):
                        scores[row, column] = np.max(output.windows)
                texts = _without_failed(texts, outputs)
            yield texts, scores if activation == "identity" else 1.0 / (1.0 + np.exp(-scores))

    def _run(self, items: Sequence[Any], settings: Any, limits: BatchLimits) -> list[ItemOutput | InputError]:
        """The model's output for each text or pair, by the engine."""
        return list(super()._stream(items, settings, limits, "record"))

    def _encoding(self, prompt_names: Sequence[str], settings: TextRankingOptions) -> SentenceOptions:
        """How an encoder reads texts for which a checkpoint may have a prompt of one of these names."""
        encoder: Any = self._encoder
        prompts = encoder.sentences.prompts or {}
        name = next((name for name in prompt_names if name in prompts), None)
        return SentenceOptions(prompt_name=name, truncation=settings.truncation)

    def _fingerprint(self, settings: TextRankingOptions) -> str:
        """sha256 of what the vectors of documents depend on."""
        encoder: Any = self._encoder
        parts = (settings.texts, checkpoint_digest(self.checkpoint), encoder.sentences, settings.truncation)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def is_cross_encoder(checkpoint: Checkpoint) -> bool:
    """Whether the model reads query and document together and gives one score.

    Raises:
        UsageError: it is a classifier of several labels.
    """
    if checkpoint.light or not type(checkpoint.model).__name__.endswith("ForSequenceClassification"):
        return False
    labels = checkpoint.config.labels
    if len(labels) != 1:
        raise UsageError(
            f"checkpoint '{checkpoint.name}' is a classifier of {len(labels)} labels ({', '.join(labels[:5])}), which "
            "ranks nothing; expected an encoder, or a cross-encoder with one label."
        )
    return True


def read_activation(checkpoint: Checkpoint) -> str:
    """``identity`` where a cross-encoder's configuration says so, else ``sigmoid``, as in sentence-transformers."""
    raw = checkpoint.config.raw
    library = raw.get("sentence_transformers") or {}
    stated = library.get("activation_fn") or raw.get("sbert_ce_default_activation_function") or "Sigmoid"
    return "identity" if str(stated).endswith("Identity") else "sigmoid"


def _read(item: Any) -> str | InputError:
    """The text of a query, or what is wrong with it."""
    try:
        return item if isinstance(item, InputError) else read_one_text(item)
    except InputError as error:
        return error


def _without_failed(texts: Texts, outputs: Sequence[ItemOutput | InputError]) -> list[str | InputError]:
    """``texts``, in place of those without an output what is wrong with them."""
    pairs = zip(texts, outputs, strict=True)
    return [output if isinstance(output, InputError) else text for text, output in pairs]


def _is_text(text: str | InputError) -> bool:
    return isinstance(text, str)


def _describe(number: int, error: Any) -> str:
    """What is wrong with a document, and which one it is."""
    return f"document {number}{f' ({error.source})' if error.source else ''}: {error.reason}"
