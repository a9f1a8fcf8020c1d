"""`quintet verify` on cards that say more than their facts: each forgery is named, and what is honest passes."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from quintet.cards.comparison import card_numbers
from quintet.cards.facts import read_facts
from quintet.cards.marks import CARD_END, WORDS_END, WORDS_START
from quintet.cards.number_sources import source_problems
from quintet.cards.published import Published
from quintet.cards.render import render
from quintet.cards.verification import verify
from quintet.cards.verification_card import check_card_text, read_published_card


def readme(folder):
    return folder / "README.md"


def text_of(folder):
    return readme(folder).read_text(encoding="utf-8")


def change(folder, old, new, count=1):
    text = text_of(folder)
    assert old in text, old
    readme(folder).write_text(text.replace(old, new, count), encoding="utf-8")


def line_with(folder, *parts):
    """The first line of the card with all of ``parts``."""
    return next(line for line in text_of(folder).splitlines() if all(part in line for part in parts))


def edit_front_matter(folder, edit):
    _, front, body = text_of(folder).split("---\n", 2)
    values = yaml.safe_load(front)
    edit(values)
    readme(folder).write_text(f"---\n{yaml.safe_dump(values, sort_keys=False)}---\n{body}", encoding="utf-8")


def edit_facts(folder, edit):
    path = folder / "run.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def of_version(version):
    """An edit of run.json: facts that another version of Quintet wrote."""

    def edit(content):
        for each in (content, *content["evaluations"]):
            each["versions"]["quintet"] = version

    return edit


def write_card(folder, own_words=""):
    """The card that the facts give, with a person's words, put in its place."""
    text = render(read_facts(folder), own_words=own_words)
    readme(folder).write_text(text, encoding="utf-8")
    return text


def card_checks(folder):
    """What `verify` says of a card; nothing is loaded for it."""
    run = read_facts(folder)
    found, checks = read_published_card(folder, run)
    if found is None or checks:
        return checks
    return check_card_text(found, run, Published(folder.name, folder), card_numbers(found.metadata or {}))


def card_check(folder):
    """State and detail of what is said of the card."""
    (found,) = [each for each in card_checks(folder) if each.name == "card"]
    return found.state, found.detail


@pytest.fixture
def forged(checkpoint):
    """The checkpoint of tests/cards/conftest.py, whose card is honest until it is changed."""
    assert card_check(checkpoint) == ("equal", "its text is what run.json gives")
    return checkpoint


# --------------------------------------------------------------------------------------------- between the marks


def test_rows_of_two_splits_that_were_exchanged_are_caught(checkpoint):
    def spread(content):  # so that no metric of one split is that of the other
        for number, evaluation in enumerate(content["evaluations"]):
            evaluation["metrics"][0]["value"] = 0.5 + number / 4

    edit_facts(checkpoint, spread)
    text = write_card(checkpoint)
    rows = [line for line in text.splitlines() if line.startswith("| accuracy |")]
    assert len(rows) == len(set(rows)) == 2
    assert card_check(checkpoint)[0] == "equal"
    swapped = text.replace(rows[0], "\0").replace(rows[1], rows[0]).replace("\0", rows[1])
    readme(checkpoint).write_text(swapped, encoding="utf-8")
    for version in ("0.1.0", "0.0.9"):
        edit_facts(checkpoint, of_version(version))  # the card says the other one, which is a difference of words
        state, detail = card_check(checkpoint)
        assert (state, f"'{rows[1]}'" in detail) == ("differs", True), version


def test_rows_of_two_classes_that_were_exchanged_are_caught(forged):
    first, second = (line_with(forged, f"| `{label}` |", "(0.") for label in ("negative", "positive"))
    change(forged, first, first.replace("negative", "positive"))
    change(forged, second, second.replace("positive", "negative"), count=1)
    assert card_check(forged)[0] == "differs"


@pytest.mark.parametrize(
    "line",
    [
        "It reaches an accuracy of 99 % on all data and 1.0000 F1.",
        "It is the best there is.",
        "| train | train of a big corpus | 0 | 138000000 |",
    ],
)
def test_a_line_that_was_put_in_is_caught(forged, line):
    change(forged, "## Results\n", f"## Results\n\n{line}\n")
    state, detail = card_check(forged)
    assert (state, detail) == ("differs", f"the text says '{line}', which the facts do not give there")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a convolutional network over word vectors (TextCNN)", "a transformer"),
        ("trained from scratch on `rows given`", "trained from scratch on `imdb`"),
        ("texts of another kind were not", "texts of any kind"),
        ("Whoever has the data can compute these numbers again", "These numbers were confirmed by others"),
    ],
)
def test_words_that_were_changed_are_caught(forged, old, new):
    change(forged, old, new)
    state, detail = card_check(forged)
    assert state == "differs"
    assert new.split()[-1] in detail
    assert "where the facts give" in detail


def test_a_limit_that_was_turned_round_or_left_out_is_caught(forged):
    limit = line_with(forged, "- ", "texts of another kind were not")
    original = text_of(forged)
    change(forged, limit, "- It is much better than everything else.")
    assert "It is much better than everything else" in card_check(forged)[1]
    readme(forged).write_text(original.replace(f"{limit}\n", ""), encoding="utf-8")
    assert card_check(forged) == ("differs", f"the text leaves out '{limit}'")


def test_marks_that_were_moved_hide_nothing(forged):
    text = text_of(forged).replace(f"{WORDS_END}\n", "", 1).replace(CARD_END, f"{WORDS_END}\n{CARD_END}")
    readme(forged).write_text(text, encoding="utf-8")
    state, detail = card_check(forged)
    assert (state, "the text leaves out '## Results'" in detail) == ("differs", True)
    readme(forged).write_text(text.replace(WORDS_START, ""), encoding="utf-8")
    state, detail = card_check(forged)
    assert (state, "the marks of own words are damaged" in detail) == ("differs", True)


@pytest.mark.parametrize("words", ["5", "a", "#", "| metric |"])
def test_own_words_that_stand_elsewhere_on_the_card_as_well_are_no_difference(checkpoint, words):
    text = write_card(checkpoint, own_words=words)
    assert card_check(checkpoint)[0] == "equal"
    assert source_problems(text, read_facts(checkpoint)) == []


def test_a_result_in_own_words_is_told_and_is_no_difference(checkpoint):
    write_card(checkpoint, own_words="On my own 5,000 reviews it reached an accuracy of 0.98765.")
    card_state, words = card_checks(checkpoint)
    assert card_state.state == "equal"
    assert (words.name, words.state) == ("own words", "not checked")
    assert words.detail == "0.98765 in the owner's own words cannot be computed again"


def test_a_card_of_another_version_is_held_to_its_numbers(forged):
    edit_facts(forged, of_version("0.0.9"))
    assert card_check(forged)[0] == "differs"  # the version is on the card
    change(forged, "quintet 0.1.0", "quintet 0.0.9")
    assert card_check(forged)[0] == "equal"
    change(forged, "Whoever has the data", "Anybody with the data")
    state, detail = card_check(forged)
    assert state == "not checked"
    assert "another version of Quintet wrote it; its numbers are those of run.json, and 1 lines are others" in detail
    cell = line_with(forged, "| log loss ↓ |").split("|")[2].strip()
    change(forged, f"| log loss ↓ | {cell} |", "| log loss ↓ | 0.0123 |")
    assert card_check(forged)[0] == "differs"


# ------------------------------------------------------------------------------------------------- front matter


def first_result(values):
    return values["model-index"][0]["results"][0]


def test_a_metric_that_was_put_before_the_real_one_is_caught(forged):
    edit_front_matter(
        forged,
        lambda values: first_result(values)["metrics"].insert(0, {**first_result(values)["metrics"][0], "value": 0.99}),
    )
    report = verify(forged, device="cpu")
    (one, other) = [number for number in report.numbers if number.name == "accuracy" and number.card is not None]
    assert (one.card, one.is_equal) == (0.99, False)
    assert other.is_equal is None  # the real one, for want of the data
    assert len(report.differing) == 1


def test_a_result_that_was_put_before_the_real_one_is_caught(forged):
    def put(values):
        result = {**first_result(values), "metrics": [{"type": "accuracy", "value": 0.99, "name": "accuracy"}]}
        values["model-index"][0]["results"].insert(0, result)

    edit_front_matter(forged, put)
    assert [name.rpartition(": ")[2] for name in verify(forged, device="cpu").differing] == ["accuracy"]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (
            lambda values: first_result(values).update(metrics={"type": "accuracy", "value": 0.99}),
            "expected a result with a list of metrics",
        ),
        (
            lambda values: values["model-index"][0].update(results={"accuracy": 0.99}),
            "expected a model with a list of results",
        ),
        (lambda values: values.update({"model-index": 0.99}), "model-index is 0.99, expected a list of models"),
        (lambda values: first_result(values)["dataset"].update(type="stanfordnlp/imdb"), "'type': 'stanfordnlp/imdb'"),
        (lambda values: first_result(values)["dataset"].update(revision="main"), "'revision': 'main'"),
        (lambda values: first_result(values)["task"].update(type="question-answering"), "'type': 'question-answering'"),
        (lambda values: first_result(values)["metrics"][0].update(verified=True), "'verified': True"),
        (lambda values: values.update(library_name="transformers"), "library_name transformers, the facts give"),
        (lambda values: values.pop("model-index"), "the front matter leaves out model-index"),
        (lambda values: values.clear(), "the front matter leaves out pipeline_tag"),
        (
            lambda values: first_result(values)["metrics"][0].update(name="accuracy 0.99"),
            "the metric accuracy 0.99, which the facts do not give",
        ),
        (lambda values: values["widget"][0]["output"][0].update(label="superb"), "'- label: superb'"),
    ],
)
def test_an_index_or_a_key_of_another_content_is_caught(forged, edit, sentence):
    edit_front_matter(forged, edit)
    state, detail = card_check(forged)
    assert state == "differs"
    assert sentence in detail


@pytest.mark.parametrize(
    ("front_matter", "sentence"),
    [
        ("[" * 3000 + "]" * 3000, "it is nested too deeply"),
        ("date: 2024-99-99", "month must be in 1..12"),
        (f"seed: {'9' * 5000}", "Exceeds the limit"),
        ("\n".join(f"k{at}: &a{at} [{', '.join([f'*a{at - 1}' if at else 'x'] * 9)}]" for at in range(9)), "100,000"),
        ("? [a]\n: b", "found unhashable key"),
        ("license: mit\nmodel-index: [0.99]\nmodel-index: [0.5]", "line 4: 'model-index' stands there twice"),
        ("a:\n- value: 0.99\n  value: 0.5", "line 4: 'value' stands there twice"),
    ],
)
def test_front_matter_that_would_stop_or_stall_the_reader_is_a_difference(forged, front_matter, sentence):
    readme(forged).write_text(f"---\n{front_matter}\n---\n{text_of(forged).split('---', 2)[2]}", encoding="utf-8")
    state, detail = card_check(forged)
    assert (state, sentence in detail, "its front matter cannot be read: " in detail) == ("differs", True, True)


def test_a_data_set_of_another_name_in_the_index_is_none_that_was_measured(forged):
    edit_front_matter(forged, lambda values: first_result(values)["dataset"].update(name="IMDB", type="imdb"))
    differing = verify(forged, device="cpu").differing
    assert "IMDB, test: accuracy" in differing
    edit_front_matter(forged, lambda values: first_result(values)["dataset"].update(name="memory", split="train"))
    assert "memory, train: accuracy" in verify(forged, device="cpu").differing


def test_a_metric_with_the_type_of_another_is_none_that_was_measured(forged):
    edit_front_matter(forged, lambda values: first_result(values)["metrics"][1].update(type="accuracy"))
    assert len(verify(forged, device="cpu").differing) >= 1


def test_the_index_may_not_have_rows_that_chose_the_weights(forged):
    validation = next(one for one in read_facts(forged).evaluations if one.split == "validation")

    def put(values):
        metric = {"type": "accuracy", "value": validation.metric("accuracy").value, "name": "accuracy"}
        result = {**first_result(values), "metrics": [metric]}
        result["dataset"] = {**result["dataset"], "split": "validation"}
        values["model-index"][0]["results"].append(result)

    edit_front_matter(forged, put)
    state, detail = card_check(forged)
    assert (state, detail) == ("differs", "model-index has the split validation, whose rows chose the weights")


# ----------------------------------------------------------------------------------------- no card, or none of ours


def test_a_card_that_is_gone_or_cannot_be_read_is_a_difference(checkpoint):
    text = text_of(checkpoint)
    readme(checkpoint).unlink()
    assert card_check(checkpoint) == ("differs", "there is no README.md, and run.json was written with one")
    readme(checkpoint).mkdir()
    assert card_check(checkpoint) == ("differs", "it cannot be read: README.md is no file")
    readme(checkpoint).rmdir()
    readme(checkpoint).write_bytes(b"\x00\xff\xfe" + text.encode())
    state, detail = card_check(checkpoint)
    assert state == "differs"
    assert detail.startswith("it cannot be read: README.md is not text in UTF-8")


def test_a_checkpoint_that_never_had_a_card_says_so(checkpoint):
    readme(checkpoint).unlink()
    edit_facts(checkpoint, lambda content: content.update(usages=[], examples=[], repository=None))
    assert card_check(checkpoint) == ("not checked", "there is no README.md; `quintet card` writes it")
    assert verify(checkpoint, device="cpu").differing == []


def test_a_card_by_hand_may_say_what_was_measured_and_nothing_else(checkpoint, tmp_path):
    measured = read_facts(checkpoint).evaluations[0].metric("log_loss").value
    honest = f"---\nlicense: mit\n---\n# Mine\n\nLog loss {measured:.4f}.\n"
    readme(checkpoint).write_text(honest, encoding="utf-8")
    state, detail = card_check(checkpoint)
    assert (state, detail.startswith("README.md was not written by Quintet")) == ("not checked", True)
    forged = Path(shutil.copytree(checkpoint, tmp_path / "forged"))
    readme(forged).write_text(honest + "\n**Accuracy 0.98765**\n", encoding="utf-8")
    assert card_check(forged) == ("differs", "the text says 0.98765, which is not in run.json")
