"""Summarization: a long text in few sentences.

Calls and answers are those that version 4 of transformers had. Beyond it: a text longer than the encoder takes is read
in pieces that end where sentences do; each is summarised, and the summaries are joined (``truncation=True`` cuts the
text instead).
"""

from __future__ import annotations

from .text2text_generation import Text2TextGenerationPipeline


class SummarizationPipeline(Text2TextGenerationPipeline):
    """Summarises texts.

    summarise("A long article …", max_length=60)             # [{'summary_text': '…'}]
    """

    task = "summarization"
    answer_columns = ("summary_text", "sequences")
    return_name = "summary"
    reads_pieces = True
