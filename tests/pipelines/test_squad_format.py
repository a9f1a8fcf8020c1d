"""SQuAD's own files as rows: streamed, counted through, broken ones named."""

import json

import pytest
from quintet.pipelines.record_files import DataFile
from quintet.pipelines.record_rows import BadRow
from quintet.pipelines.records import read_data_file
from quintet.pipelines.squad_format import articles_start


def paragraph(context, *asked):
    return {"context": context, "qas": list(asked)}


def asked(number, text=None, start=0, **more):
    answers = [] if text is None else [{"text": text, "answer_start": start}]
    return {"id": f"q{number}", "question": f"Question {number}?", "answers": answers, **more}


ARTICLES = [
    {"title": "Ada", "paragraphs": [paragraph("Ada wrote it.", asked(1, "Ada"), asked(2, "it", 10))]},
    {
        "title": "Bob",
        "paragraphs": [
            paragraph("Bob slept.", asked(3, "Bob", is_impossible=False), asked(4, None, is_impossible=True)),
            paragraph("Eve saw.", asked(5, "Eve")),
        ],
    },
]
ROWS = [
    ("q1", "Ada", "Ada wrote it.", {"text": ["Ada"], "answer_start": [0]}),
    ("q2", "Ada", "Ada wrote it.", {"text": ["it"], "answer_start": [10]}),
    ("q3", "Bob", "Bob slept.", {"text": ["Bob"], "answer_start": [0]}),
    ("q4", "Bob", "Bob slept.", {"text": [], "answer_start": []}),
    ("q5", "Bob", "Eve saw.", {"text": ["Eve"], "answer_start": [0]}),
]


def read(tmp_path, document, *, indent=None):
    file = tmp_path / "squad.json"
    file.write_text(json.dumps(document, indent=indent), encoding="utf-8")
    return list(read_data_file(DataFile(str(file), "json")))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("document", [{"data": ARTICLES, "version": "1.1"}, {"version": "v2.0", "data": ARTICLES}])
def test_each_question_is_a_row(tmp_path, document, indent):
    rows = read(tmp_path, document, indent=indent)
    names = ("id", "title", "context", "question", "answers")
    assert [tuple(row.values[name] for name in names) for row in rows] == [
        (number, title, context, f"Question {number[1]}?", answers) for number, title, context, answers in ROWS
    ]
    assert [row.row for row in rows] == [1, 2, 3, 4, 5]
    assert [row.values.get("is_impossible") for row in rows] == [None, None, False, True, None]


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_a_file_is_read_article_by_article(tmp_path, indent):
    """The second article is broken beyond repair; the first one came before that was seen."""
    whole = json.dumps({"version": "1.1", "data": ARTICLES}, indent=indent)
    file = tmp_path / "squad.json"
    file.write_text(whole[: whole.index('"Bob"')] + "!", encoding="utf-8")
    rows = list(read_data_file(DataFile(str(file), "json")))
    assert [row.values["id"] for row in rows[:2]] == ["q1", "q2"]
    assert isinstance(rows[2], BadRow) and rows[2].row == 3 and "is not JSON" in rows[2].reason


def test_what_is_no_paragraph_or_question_is_a_bad_row(tmp_path):
    articles = [
        {"title": "A", "paragraphs": [{"context": "Ada."}, paragraph("Ada.", "who?", asked(1, "Ada"))]},
        {"x": 1},
    ]
    rows = read(tmp_path, {"data": articles})
    reasons = [row.reason if isinstance(row, BadRow) else row.values["id"] for row in rows]
    assert reasons == [
        "it is no paragraph with a list 'qas' of questions",
        "it is no question with 'question' and 'answers'",
        "q1",
        "it is no article with 'paragraphs'",
    ]


def test_an_impossible_question_may_lack_answers_and_must_not_have_any(tmp_path):
    impossible = {"id": "q1", "question": "Who?", "is_impossible": True}
    rows = read(
        tmp_path, {"data": [{"paragraphs": [paragraph("Ada.", impossible, asked(2, "Ada", is_impossible=True))]}]}
    )
    assert rows[0].values["answers"] == {"text": [], "answer_start": []}
    assert rows[1].reason == "its question has answers and is_impossible true; take out one of the two"


def test_a_question_without_either_is_left_as_it_is(tmp_path):
    """So a file of questions alone can be answered, and training tells that the answers are missing."""
    (row,) = read(tmp_path, {"data": [{"paragraphs": [paragraph("Ada.", {"id": "q1", "question": "Who?"})]}]})
    assert row.values["answers"] is None


def test_other_objects_are_no_articles():
    assert articles_start('{"data": [{"text": "a"}]}') is None
    assert articles_start('[{"title": "a"}]') is None
    assert articles_start('{"version": 1.1, "data": [{"paragraphs": []}]}') == 25
