"""What a card says of strange names, of many classes, of small runs, and how its numbers are computed again."""

import re
import shlex
import subprocess
from dataclasses import replace

import pytest
from quintet.cards.facts import ClassFact, DataFacts, ExampleFact, MetricFact
from quintet.cards.markdown import block, code, duration, plain, size
from quintet.cards.metadata import metadata
from quintet.cards.number_sources import source_problems
from quintet.cards.render import read_readme, render
from quintet.cards.snippets import in_quotes, literal, shell_word
from quintet.cards.verification_data import find_sources
from review_run import review_facts

MAIN = review_facts().evaluations[1]


def written(**change):
    """The card of the made-up run with its main evaluation changed."""
    return render(replace(review_facts(), evaluations=(replace(MAIN, **change),)))


# ------------------------------------------------------------------------------------- names of others


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("new\nline\ttab", "new line tab"),
        ("**bold** _it_ my_name", r"\*\*bold\*\* \_it\_ my_name"),
        ("<b>x</b> &lt; A&B", r"\<b>x\</b> \&lt; A&B"),
        ("![p](u) [x](y) `c`", r"!\[p](u) \[x](y) \`c\`"),
        ("a|b ~~c~~ $d$ \\", r"a\|b \~\~c\~\~ \$d\$ \\"),
        ("a\u202eb\u2067c\ud800", "abc\ufffd"),
    ],
)
def test_text_in_a_sentence_is_no_markup(text, shown):
    assert plain(text) == shown


def test_code_spans_and_blocks_hold_any_text():
    assert code("a\u202e`b`\n\ud800 c") == "``a`b` \ufffd c``"
    assert block("a\r<!-- /own words -->\r\n```", "text") == "````text\na\n <!-- /own words -->\n```\n````"


def test_names_in_notes_headings_and_descriptions_are_shown_as_they_are():
    label = "new\nline **bold** <b> [x](y)"
    text = written(
        split=label,
        notes=(f"precision of '{label}' is undefined",),
        baselines=(replace(MAIN.baselines[0], description=f"answers '{label}'"),),
    )
    shown = r"new line \*\*bold\*\* \<b> \[x](y)"
    assert f"Precision of '{shown}' is undefined." in text
    assert f"Majority class: answers '{shown}'." in text
    assert f"### `me/reviews`, {shown}: 100 rows" in text
    assert label.partition("\n")[2] not in read_readme(text).card


def test_a_checkpoint_named_with_quotes_stays_one_string_in_the_snippet():
    text = render(replace(review_facts(), checkpoint_name='a "b" \\ *c*'))
    assert r'model="a \"b\" \\ *c*")' in text
    assert r'# a "b" \\ \*c\*' in text
    assert in_quotes("a\u202e") == r"a\u202e"
    assert literal({"text": "a\u2028\ud800"}) == r'{"text": "a\u2028\ud800"}'


# ------------------------------------------------------------------------------- computed again by whom


def local(name, kind="local"):
    return DataFacts(name=name, kind=kind)


def again(*records):
    """The sentence about an evaluation on each of the data sets, and the run with them."""
    evaluations = tuple(replace(MAIN, data=record, data_name=record.name, split=record.name) for record in records)
    run = replace(review_facts(), checkpoint_name="o y", evaluations=evaluations)
    (line,) = re.findall(r"^.* can compute these numbers again.*$", render(run), re.M)
    return line, run


@pytest.mark.parametrize(
    ("records", "who", "command"),
    [
        ([local("me/reviews", "hub")], "Anyone can", "quintet verify 'o y'"),
        (
            [local("y.csv"), local("my däta.csv"), local("me/reviews", "hub"), local("y.csv")],
            "Whoever has the data can",
            "quintet verify 'o y' --dataset y.csv --dataset 'my däta.csv'",
        ),
        (
            [local("a,b"), local("b"), local("a")],
            "Whoever has the data can",
            "quintet verify 'o y' --dataset a,b",
        ),
        ([local("rows given", "memory")], "as `rows` were given in memory", 'verify("o y", dataset=rows)'),
        (
            [local("rows given", "memory"), local("y.csv")],
            "in Python, as `rows` were given in memory",
            'verify("o y", dataset={"rows given": rows, "y.csv": "y.csv"})',
        ),
    ],
    ids=["hub", "two files", "parts", "memory", "memory and a file"],
)
def test_the_command_that_computes_again_names_every_local_data_set(records, who, command):
    line = again(*records)[0]
    assert who in line
    assert line.endswith(f": `{command}`.")


@pytest.mark.parametrize(
    "records", [["y.csv", "my däta \u202ex.csv"], ["a b,c'd", "a b"], ["q=1.csv", "-1.csv", "a  b"]]
)
def test_the_command_as_a_shell_reads_it_finds_every_data_set(records):
    line, run = again(*map(local, records))
    command = line.partition("again: ")[2].strip("`.").strip("`")
    assert command.isprintable()
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True)
    words = done.stdout.split("\0")[:-1]
    assert words[:3] == ["quintet", "verify", "o y"]
    given = [value for flag, value in zip(words[3::2], words[4::2], strict=True) if flag == "--dataset"]
    assert set(find_sources(given, run)) == set(records)


def test_a_word_of_a_command_line_can_be_seen():
    assert shell_word("a b") == shlex.quote("a b")
    assert shell_word("a\u202e'\n\udcff") == r"$'a\U0000202e\'\x0a\xff'"


# -------------------------------------------------------------------------------------------- classes


def one_class(label, count, **values):
    return ClassFact(label, count, tuple(MetricFact(name, value) for name, value in values.items()))


def test_the_columns_of_the_classes_have_one_order():
    rows = (one_class("never", 4, recall=0.0, f1=0.0), one_class("good", 6, precision=0.6, recall=1.0, f1=0.75))
    text = written(labels=("never", "good"), per_class=rows)
    assert "| class | rows | precision | recall | F1 |" in text
    assert "| `never` | 4 |  | 0.0000 | 0.0000 |" in text
    assert "| `good` | 6 | 0.6000 | 1.0000 | 0.7500 |" in text


def many_classes():
    """200 classes of which 196 are never answered, with notes as older versions wrote them."""
    names = tuple(f"class {index}" for index in range(200))
    rows = tuple(
        one_class(name, 5, precision=0.5, recall=0.5, f1=0.5)
        if index >= 196
        else one_class(name, 5, recall=0.0, f1=0.0)
        for index, name in enumerate(names)
    )
    notes = tuple(f"precision of '{name}' is undefined: it was never predicted" for name in names[:196])
    answers = tuple({"label": name, "score": (index + 1) / 20100} for index, name in enumerate(names))
    return replace(
        review_facts(),
        labels=names,
        evaluations=(replace(MAIN, labels=names, per_class=rows, notes=notes, confusion=None),),
        examples=(ExampleFact({"text": "no, fine"}, answers),),
    )


def test_many_classes_are_summed_up():
    facts = many_classes()
    text = render(facts)
    assert "- 196 of 200 classes have the lowest F1, 0.0000: `class 0`, `class 1`," in text
    assert "`class 9` and 186 more." in text
    assert text.count("is undefined: it was never predicted") == 5
    assert "191 more notes in `run.json`." in text
    (shown,) = metadata(facts)["widget"]
    assert [each["label"] for each in shown["output"]] == [f"class {index}" for index in (199, 198, 197, 196, 195)]


def test_all_answers_to_an_example_are_known_to_a_check():
    facts = many_classes()
    text = render(facts)
    older = text.replace("  - label: class 199\n", "  - label: class 0\n    score: 0.0\n  - label: class 199\n")
    assert older != text
    assert source_problems(older, facts) == []
    wrong = older.replace("score: 0.0\n", "score: 0.5\n")
    assert source_problems(wrong, facts) == ["widget: the score 0.5 is not in run.json; `quintet card` writes it again"]


def test_classes_without_rows_are_counted_where_they_are_many():
    rows = tuple(one_class(str(index), 0) for index in range(12))
    assert "- 12 of 12 classes have no row in the test split: `0`, `1`," in written(per_class=rows)
    assert "- Not one row of the test split has `0`, `1` or `2`." in written(per_class=rows[:3])


@pytest.mark.parametrize("strange", ["差评", "a\nb", "😀", ""])
def test_classes_that_a_picture_may_number_are_numbered_in_the_table(strange):
    rows = (one_class("good", 6, f1=0.75), one_class(strange, 4, f1=0.5))
    text = written(labels=("good", strange), per_class=rows)
    assert "| class | number | rows | F1 |\n| --- | ---: | ---: | ---: |\n| `good` | 0 | 6 |" in text
    assert f"| {code(strange)} | 1 | 4 | 0.5000 |" in text
    assert "On the picture a class for whose name there was no font is called by its number." in text
    assert "| number |" not in written(labels=("good", "schön"), per_class=rows[:1])


# ------------------------------------------------------------------------------------------- small runs


def test_one_of_a_thing_is_said_as_one_and_little_is_not_nothing():
    facts = review_facts()
    training = replace(facts.training, threads=1, resumes=1, epochs=1.0, seconds=0.2)
    text = render(replace(facts, training=training, hardware=replace(facts.hardware, cores=1), weights_bytes=7_000))
    for line in (
        "| run as | 1 process of 1 thread on cpu |",
        "| taken up again | 1 time |",
        "| steps | 87 (1 epoch) |",
        "| time | less than a second |",
        "| hardware | Xeon, 1 core, 23.5 GiB, bfloat16 units |",
        "| weights | 6.8 KiB (7,000 bytes) |",
    ):
        assert line in text
    assert (duration(1), size(2**20), size(2**30)) == ("1 s", "1.0 MiB", "1.0 GiB")
