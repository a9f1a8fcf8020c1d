"""Training for text ranking: queries and the documents that answer them, as `sentence_similarity` trains pairs.

Measuring ranks all different documents of the split for each query, through the pipeline; a cross-encoder, which
nothing here trains, can be measured too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..pipelines.text_ranking import DOCUMENT_PROMPTS, QUERY_PROMPTS
from .measuring import Conditions, Measured
from .pair_answers import Candidates, measure_ranking
from .sentence_similarity import SentenceSimilarityRecipe
from .text_pairs import read_pairs

if TYPE_CHECKING:
    from .data import TaskData


class TextRankingRecipe(SentenceSimilarityRecipe):
    """The text ranking part of training; see `SentenceSimilarityRecipe`."""

    prompt_names = (QUERY_PROMPTS, DOCUMENT_PROMPTS)

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the rankings that ``pipe`` gives."""
        pairs = read_pairs(data, role)
        candidates = Candidates(pairs)

        def rank(count: int) -> Iterator[Sequence[int]]:
            rankings = pipe(iter(pairs.texts), documents=candidates.texts, top_k=count)
            for done, ranking in enumerate(rankings, 1):
                yield [document["corpus_id"] for document in ranking]
                if conditions.progress is not None:
                    conditions.progress(done, len(pairs))

        return measure_ranking(rank, pairs, candidates, data.problem_type, conditions)
