"""SQuAD's files: articles of paragraphs of questions, in one JSON object, as rows of one question each.

    {"version": "v2.0", "data": [{"title": …, "paragraphs": [{"context": …, "qas": [
        {"id": …, "question": …, "answers": [{"text": …, "answer_start": 17}], "is_impossible": false}]}]}]}

The layout of Rajpurkar et al. 2016 and 2018, which many data sets for question answering share (CMRC 2018, XQuAD …). A
row has the columns id, title, context, question and answers, these as two lists, ``text`` and ``answer_start``, and
is_impossible where the file has it. A question without an answer has empty lists; one that is said to be impossible
may lack ``answers``, and must not have any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# What stands before the articles where the file is a stream of them: other entries are short texts or numbers.
_BEGINNING = re.compile(
    r'\s*\{\s*(?:"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[\d.]+)\s*,\s*)*'  # "version": "v2.0",
    r'"data"\s*:\s*(?=\[\s*\{\s*"(?:title|paragraphs)")'
)


def articles_start(text: str) -> int | None:
    """Where the list of articles begins in ``text``, the beginning of a JSON object; None if it has none.

    >>> articles_start('{"version": "1.1", "data": [{"title": "Ada", "paragraphs": []}]}')
    27
    """
    found = _BEGINNING.match(text)
    return found.end() if found else None


def is_article(value: Any) -> bool:
    """Whether a JSON value is an article with paragraphs of questions."""
    return isinstance(value, Mapping) and isinstance(value.get("paragraphs"), list)


def questions(article: Mapping[str, Any]) -> Iterator[dict[str, Any] | str]:
    """The rows of an article; in place of what is no paragraph or no question a sentence that says what is wrong."""
    for paragraph in article["paragraphs"]:
        if not isinstance(paragraph, Mapping) or not isinstance(paragraph.get("qas"), list):
            yield "it is no paragraph with a list 'qas' of questions"
            continue
        for question in paragraph["qas"]:
            if not isinstance(question, Mapping):
                yield "it is no question with 'question' and 'answers'"
                continue
            answers, is_impossible = question.get("answers"), question.get("is_impossible") is True
            if is_impossible and answers:
                yield "its question has answers and is_impossible true; take out one of the two"
                continue
            row = {
                "id": question.get("id"),
                "title": article.get("title"),
                "context": paragraph.get("context"),
                "question": question.get("question"),
                "answers": _answers([] if is_impossible else answers),
            }
            yield row | {name: question[name] for name in ("is_impossible",) if name in question}


def _answers(found: Any) -> Any:
    """Answers as two lists; anything else as it is, which is told of when the column is read."""
    if not isinstance(found, list) or not all(isinstance(answer, Mapping) for answer in found):
        return found
    return {name: [answer.get(name) for answer in found] for name in ("text", "answer_start")}
