"""Training for summarization; all but the metrics and the free rules is in text2text_generation.py."""

from __future__ import annotations

from typing import ClassVar

from ..pipelines.sentences import split_sentences
from .text2text_generation import Text2TextGenerationRecipe
from .writing_metrics import Scorer, rouge_metrics
from .written_answers import FreeRule

LEAD_WORDS = 10
"""Words of the shorter lead."""


def first_sentence(text: str) -> str:
    """The first sentence of a text."""
    return next(iter(split_sentences(text.strip())), "").strip()


def first_words(text: str) -> str:
    """The first words of a text."""
    return " ".join(text.split()[:LEAD_WORDS])


class SummarizationRecipe(Text2TextGenerationRecipe):
    """The summarization part of training: ROUGE, compared with the beginnings of the texts."""

    scorer: ClassVar[Scorer] = staticmethod(rouge_metrics)
    rules: ClassVar[tuple[FreeRule, ...]] = (
        ("first sentence", first_sentence, "answers the first sentence of the text"),
        ("first words", first_words, f"answers the first {LEAD_WORDS} words of the text"),
    )
