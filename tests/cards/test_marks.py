"""What a person wrote stays, or nothing is written: cards whose marks are damaged, and texts that quote marks."""

from dataclasses import replace

import pytest
from quintet.cards.facts import BaselineFact, UsageFact, read_facts
from quintet.cards.marks import CARD_END, CARD_START, WORDS_END, WORDS_START, mark_in
from quintet.cards.publishing import publish
from quintet.cards.render import read_readme, render
from quintet.cards.writing import card
from quintet.pipelines.errors import DataError, PublishError, UsageError
from review_run import review_facts

MINE = "Three days of my writing."
WHOLE = render(review_facts(), own_words=MINE, before="Above.", after="Below.")
EXPECTED_WORDS = "expected one line '<!-- own words … -->' and below it one line '<!-- /own words -->'; repair them"
NEITHER = WHOLE.replace(f"{WORDS_START}\n", "").replace(f"{WORDS_END}\n", "")

DAMAGED = {
    "the end of own words behind the last line": (WHOLE.replace(f"\n{WORDS_END}", f"  {WORDS_END}"), "own words", 1, 0),
    "no end of own words": (WHOLE.replace(f"{WORDS_END}\n", ""), "own words", 1, 0),
    "no start of own words": (WHOLE.replace(f"{WORDS_START}\n", ""), "own words", 0, 1),
    "a start with a capital": (WHOLE.replace("<!-- own words", "<!-- Own words"), "own words", 0, 1),
    "neither mark of own words": (NEITHER, "own words", 0, 0),
    "own words that quote their end": (WHOLE.replace(MINE, f"{MINE}\n{WORDS_END}\nmore"), "own words", 1, 2),
    "own words the wrong way round": (
        WHOLE.replace(WORDS_START, "<swap>").replace(WORDS_END, WORDS_START).replace("<swap>", WORDS_END),
        "own words",
        1,
        1,
    ),
    "own words that quote the card's end": (WHOLE.replace(MINE, f"{MINE}\n{CARD_END}"), "the card", 1, 2),
    "a fence below that quotes the end": (f"{WHOLE}\n```\n{CARD_END}\n```\n", "the card", 1, 2),
    "a start above": (WHOLE.replace("Above.", "<!-- quintet card stands below -->"), "the card", 2, 1),
    "a second card below": (f"{WHOLE}\nBetween.\n\n{WHOLE.partition('Above.')[2]}", "the card", 2, 2),
    "no end of the card": (WHOLE.replace(CARD_END, ""), "the card", 1, 0),
    "no start of the card": (WHOLE.replace(CARD_START, ""), "the card", 0, 1),
}


def test_a_whole_card_is_taken_apart():
    readme = read_readme(WHOLE)
    assert (readme.own_words, readme.before, readme.after, readme.damage) == (MINE, "Above.", "Below.", "")


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_marks_are_told(case):
    text, what, starts, ends = DAMAGED[case]
    damage = read_readme(text).damage
    found = f"the marks of {what} are damaged: {starts} at the beginning and {ends} at the end were found, expected one"
    assert damage.startswith(found)
    assert "repair them, and put a space before a line that only quotes one" in damage


@pytest.mark.parametrize("case", DAMAGED)
def test_a_card_with_damaged_marks_is_neither_written_nor_right(checkpoint, case):
    text = DAMAGED[case][0]
    (checkpoint / "README.md").write_text(text, encoding="utf-8")
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    for append in (False, True):
        with pytest.raises(DataError, match=r"README\.md in 'reviews' is kept as it is: the marks of .* are damaged"):
            card(checkpoint, append=append)
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()} == before
    assert any("are damaged: " in problem for problem in card(checkpoint, check=True).problems)


def test_a_data_set_with_damaged_marks_is_not_published(tmp_path):
    folder = tmp_path / "visits"
    folder.mkdir()
    (folder / "train.csv").write_text("text,label\ngood,a\nbad,b\n", encoding="utf-8")
    (folder / "README.md").write_text(DAMAGED["no end of own words"][0], encoding="utf-8")
    with pytest.raises(PublishError, match="the marks of own words are damaged: 1 at the beginning and 0 at the end"):
        publish(folder, "tester/visits", dataset=True, license="mit", dry_run=True)


@pytest.mark.parametrize("mark", [CARD_START, CARD_END, WORDS_START, WORDS_END])
def test_own_words_cannot_bring_a_mark_but_may_quote_one_after_a_space(checkpoint, mark):
    assert mark_in(f"a\n{mark}\nb") == mark
    before = (checkpoint / "README.md").read_bytes()
    with pytest.raises(UsageError, match=r"own words have the line '<!-- .*', which is a mark of the card; put a sp"):
        card(checkpoint, own_words=f"a\r{mark}\nb")
    assert (checkpoint / "README.md").read_bytes() == before
    quoting = f"a\n {mark}\nb `{mark}`"
    readme = read_readme(render(review_facts(), own_words=quoting, before=f" {mark}", after=f"Not {mark}"))
    assert (readme.own_words, readme.before, readme.after) == (quoting, f" {mark}", f"Not {mark}")


def test_labels_that_look_like_marks_neither_break_nor_grow_a_card():
    for mark in (CARD_START, CARD_END, WORDS_START, WORDS_END):
        label = f"a\n{mark}\rb\r{mark}"
        facts = review_facts()
        main = replace(
            facts.evaluations[1],
            data_name=label,
            split=label,
            labels=(label, "good"),
            notes=(f"precision of '{label}' is undefined",),
            per_class=tuple(replace(row, label=label) for row in facts.evaluations[1].per_class),
            baselines=(BaselineFact(label, (), f"answers '{label}'"),),
        )
        facts = replace(
            facts,
            checkpoint_name=label,
            labels=(label, "good"),
            command=f"quintet finetune '{label}'",
            usages=(UsageFact("quintet", "print()", f"{label} 0.9\n"),),
            evaluations=(facts.evaluations[0], main),
            training=replace(facts.training, notes=(label,)),
        )
        text = render(facts, own_words=MINE)
        readme = read_readme(text.replace("\r", "\n"))  # as Path.read_text would
        assert (readme.damage, readme.own_words, readme.before, readme.after) == ("", MINE, "", "")
        assert render(facts, own_words=readme.own_words) == text


def test_what_an_older_version_wrote_in_the_marks_is_read(checkpoint):
    text = (checkpoint / "README.md").read_text(encoding="utf-8")
    older = text.replace(CARD_START, "<!-- quintet card -->").replace(WORDS_START, "<!-- own words: kept -->  ")
    assert read_readme(older).card is not None
    assert read_readme(older).damage == ""
    assert read_facts(checkpoint).repository == "tester/reviews"
