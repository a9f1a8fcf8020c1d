"""Sentences, pieces that fit, and how answers to pieces are joined."""

import random

import pytest
from quintet.pipelines.sentences import join_texts, split_sentences, split_to_fit


def words(texts):
    """A measure: one token a word, and one at the end."""
    return [len(text.split()) + 1 for text in texts]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ("Version 2.5 is out... Really?!  Yes", ["Version 2.5 is out... ", "Really?!  ", "Yes"]),
        ('He said "No." (So?) Then left', ['He said "No." ', "(So?) ", "Then left"]),
        ("first line\n\n second line\n", ["first line\n\n ", "second line\n"]),
        ("很好。很差！“好吗？”好", ["很好。", "很差！", "“好吗？”", "好"]),
        ("", []),
    ],
)
def test_sentences_end_where_they_end(text, sentences):
    assert split_sentences(text) == sentences


def test_pieces_are_whole_sentences_as_many_as_fit():
    text = "One two. Three four five. Six. Seven eight nine ten."
    assert split_to_fit(text, words, 6) == ["One two. Three four five. ", "Six. Seven eight nine ten."]
    assert split_to_fit(text, words, 5) == ["One two. ", "Three four five. Six. ", "Seven eight nine ten."]
    assert split_to_fit(text, words, 99) == [text]


def test_a_sentence_that_is_too_long_is_cut_at_white_space_or_anywhere():
    assert split_to_fit("one two three four five six", words, 4) == ["one two three ", "four five six"]
    letters = split_to_fit("a" * 100, lambda texts: [len(text) for text in texts], 30)
    assert "".join(letters) == "a" * 100
    assert max(map(len, letters)) <= 30
    with pytest.raises(ValueError, match="not even one character fits"):
        split_to_fit("ab", lambda texts: [9] * len(texts), 5)


def test_pieces_fit_where_text_read_together_has_more_tokens():
    def costly(texts):
        return [len(text.split()) + 3 * text.strip().count(". ") + 1 for text in texts]

    draw = random.Random(0)
    for _ in range(50):
        text = "".join(draw.choice(["a", "b ", "c. ", "dd\n", "e! "]) for _ in range(draw.randint(1, 200)))
        pieces = split_to_fit(text, costly, 12)
        assert "".join(pieces) == text
        assert max(costly(pieces)) <= 12


@pytest.mark.parametrize(
    ("texts", "sources", "joined"),
    [
        (["A.", "B."], ["a. ", "b."], "A. B."),
        (["A.", "B."], ["a.\n\n", "b."], "A.\n\nB."),
        (["好。", "差。"], ["a. ", "b."], "好。差。"),
        (["好。", "B."], ["a. ", "b."], "好。 B."),
        (["", "B"], ["a. ", "b."], "B"),
        (["A"], ["a"], "A"),
    ],
)
def test_answers_are_joined_as_their_sources_were(texts, sources, joined):
    assert join_texts(texts, sources) == joined
