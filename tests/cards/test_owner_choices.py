"""What the owner of a checkpoint gives, wrongly: editors, own words, languages, and arguments of another type."""

import shlex
import sys
from pathlib import Path

import pytest
import yaml
from quintet.cards import existing_card, writing
from quintet.cards.facts import read_facts
from quintet.cards.owner_choices import chosen_languages
from quintet.cards.render import read_readme
from quintet.cards.snippet_runs import SnippetRun
from quintet.cards.writing import card
from quintet.cli import main
from quintet.pipelines.errors import DataError, UsageError


@pytest.fixture
def quick(monkeypatch):
    """Cards whose snippets are not run again."""

    def remembered(_, checkpoint):
        return [SnippetRun(usage) for usage in read_facts(checkpoint).usages]

    monkeypatch.setattr(writing, "run_snippets", remembered)


def python_editor(code):
    """The command of an editor that runs ``code`` with ``file`` as the path that it was given."""
    return shlex.join([sys.executable, "-c", f"import sys, pathlib; file = pathlib.Path(sys.argv[1]); {code}"])


# -------------------------------------------------------------------------------------------- editors


@pytest.mark.parametrize(
    ("editor", "sentence"),
    [
        (python_editor("file.unlink()"), "left no text behind; the card is as it was"),
        (python_editor("file.unlink(); file.mkdir()"), "left no text behind; the card is as it was"),
        ('vi "x', r"""the editor 'vi "x' is no command \(no closing quotation\); set EDITOR to one, such as nano"""),
        (" ", "--edit opens the editor that VISUAL or EDITOR names, and neither is set"),
        (python_editor("file.write_bytes(bytes([255]))"), r"own-words\.md is not text in UTF-8 \(.* at byte 0\)"),
        (
            python_editor("file.write_text('<!-- /own words -->')"),
            "own words have the line '<!-- /own words -->', which",
        ),
    ],
    ids=["deletes the file", "makes a folder of it", "an open quotation", "blank", "another encoding", "a mark"],
)
def test_editors_that_do_not_work_are_told(checkpoint, monkeypatch, editor, sentence):
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    with pytest.raises((UsageError, DataError), match=sentence):
        card(checkpoint, edit=True)
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()} == before


def test_a_blank_visual_leaves_the_choice_to_editor(checkpoint, monkeypatch, quick):
    monkeypatch.setenv("VISUAL", "  ")
    monkeypatch.setenv("EDITOR", python_editor("file.write_text('Mine.')"))
    assert read_readme(card(checkpoint, edit=True).text).own_words == "Mine."


# ------------------------------------------------------------------------------------------ languages


@pytest.mark.parametrize(
    ("by_hand", "sentence"),
    [
        ("no", "language False is no code of ISO 639; YAML reads an unquoted no as False: write 'no'"),
        ("[en, no]", "language False is no code of ISO 639; YAML reads an unquoted no as False: write 'no'"),
        ("1", "language 1 is no code of ISO 639; expected one such as en or zh"),
        ("{a: b}", "language {'a': 'b'} is no code of ISO 639; expected one such as en or zh"),
        ("''", "language '' is no code of ISO 639; expected one such as en or zh"),
        ("German", r"language 'German' is no code of ISO 639; did you mean de\?"),
    ],
)
def test_a_language_by_hand_that_is_none_is_told_as_by_the_check(checkpoint, by_hand, sentence):
    readme = checkpoint / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("language: en", f"language: {by_hand}"), "utf-8")
    before = readme.read_bytes()
    with pytest.raises(UsageError, match=sentence) as error:
        card(checkpoint)
    assert readme.read_bytes() == before
    assert str(error.value) in card(checkpoint, check=True).problems


def test_languages_are_taken_in_every_form_that_front_matter_has():
    for text, codes in (("'no'", ("no",)), ("[de, 'no', de]", ("de", "no")), ("en", ("en",)), ("", ()), ("[]", ())):
        assert chosen_languages(None, {"language": yaml.safe_load(text)}) == codes
    assert chosen_languages(("en", "de"), {"language": False}) == ("en", "de")


# --------------------------------------------------------------------------------- arguments in Python


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"own_words": 5}, "own words are of type int, expected Markdown as text"),
        ({"own_words": "a\ud800"}, r"own words hold half of a letter \(U\+D800 at 1\); leave it out"),
        ({"examples": "great"}, "examples are of type str, expected a list of texts"),
        (
            {"examples": [{"foo": "a"}]},
            r"examples\[0\] is \{'foo': 'a'\}, expected a text, or a dict such as \{'text': …\}",
        ),
        ({"examples": ["a", 5]}, r"examples\[1\] is 5, expected a text, or a dict such as \{'text': …\}"),
        ({"examples": [{"text": None}]}, r"examples\[0\] is \{'text': None\}, expected a text"),
        ({"examples": ["\udcff"]}, r"examples\[0\] holds half of a letter"),
        ({"repository": 5}, "repository '5' is no Hub id; expected one such as me/reviews"),
        ({"language": 5}, "language 5 is no code of ISO 639; expected one such as en or zh"),
        ({"language": ["en", None]}, "language None is no code of ISO 639"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_of_another_type_are_told(checkpoint, given, sentence):
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match=sentence):
        card(checkpoint, **given)
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("check", [False, True])
def test_no_checkpoint_at_all_is_told(check):
    with pytest.raises(UsageError, match="checkpoint is of type NoneType, expected its folder as text or a Path"):
        card(None, check=check)


def test_a_readme_that_may_not_be_read_is_told(checkpoint, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(existing_card.Path, "read_text", refused)
    with pytest.raises(DataError, match=r"README\.md cannot be read \(Permission denied\); make it readable"):
        card(checkpoint)


# ------------------------------------------------------------------------------------------ with --check


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"license": "nonsense"}, "--license"),
        ({"license_name": "a", "license_link": "b"}, "--license-name and --license-link"),
        ({"edit": True}, "--edit"),
        ({"own_words": ""}, "own words"),
        ({"examples": ["a"], "texts": False}, "--example and --no-texts"),
        ({"language": "en", "repository": "me/x", "append": True}, "--language and --repository and --append"),
    ],
)
def test_a_check_refuses_what_is_for_writing(checkpoint, given, names):
    with pytest.raises(
        UsageError, match=f"^--check writes nothing, so it cannot take {names}; leave out one or the other$"
    ):
        card(checkpoint, check=True, **given)


# ------------------------------------------------------------------------------------------ the command


def test_the_next_command_can_be_run_as_it_stands(checkpoint, quick, capsys):
    folder = checkpoint.rename(checkpoint.with_name("bert nö space"))
    with pytest.raises(SystemExit) as end:
        main(["card", str(folder), "--repository", "tester/reviews"])
    assert not end.value.code
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("next: "))
    assert shlex.split(line) == ["next:", "quintet", "publish", str(folder), "me/bert-n-space"]
    assert Path(folder / "README.md").is_file()
