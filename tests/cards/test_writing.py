"""Cards written into checkpoint folders: what is run, drawn and kept, and what is refused."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import quintet
from quintet.cards import writing
from quintet.cards.answers import printed_alike
from quintet.cards.facts import CHECKPOINT_PLACEHOLDER, DataFacts, MistakeFact, RunFacts, read_facts, write_facts
from quintet.cards.render import WORDS_END, read_readme
from quintet.cards.snippet_runs import SnippetRun, run_snippets
from quintet.cards.snippets import SENTENCES, default_examples, snippets
from quintet.cards.writing import card
from quintet.cli import main
from quintet.pipelines.errors import DataError, PublishError, UsageError

BLOCK = re.compile(r"```(\w+)\n(.*?)\n```", re.DOTALL)


@pytest.fixture
def quick(monkeypatch):
    """Cards whose snippets are not run again: the facts keep the runs that they have."""

    def remembered(_, checkpoint):
        return [SnippetRun(usage) for usage in read_facts(checkpoint).usages]

    monkeypatch.setattr(writing, "run_snippets", remembered)


def edited(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


# ------------------------------------------------------------------------------------------ what is run


def test_each_snippet_as_the_card_shows_it_prints_what_the_card_shows(checkpoint, tmp_path):
    """The only change is the folder in place of the repository's id; transformers runs it without Quintet."""
    text = (checkpoint / "README.md").read_text(encoding="utf-8")
    usage = text[text.index("## Usage") : text.index("## Training data")]
    blocks = BLOCK.findall(usage)
    assert [language for language, _ in blocks] == ["python", "text", "python", "text"]
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/quintet.py").write_text("raise ImportError('hidden')")
    for (_, code), (_, output), hidden in ((*blocks[:2], False), (*blocks[2:], True)):
        assert code.count('model="tester/reviews"') == 1
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(tmp_path / "modules")}
        if hidden:
            environment["PYTHONPATH"] = str(tmp_path / "hidden")
        done = subprocess.run(
            [sys.executable, "-c", code.replace("tester/reviews", str(checkpoint))],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == output


def test_the_same_checkpoint_gives_the_same_card(checkpoint):
    names = ("README.md", "run.json", "confusion.png", "curves.png")
    before = {name: (checkpoint / name).read_bytes() for name in names}
    report = card(checkpoint)
    assert report.written
    assert {name: (checkpoint / name).read_bytes() for name in before} == before


def test_the_whole_answers_to_the_examples_are_kept_as_facts(checkpoint, quick):
    report = card(checkpoint, examples=["great soup", "awful film"])
    classify = quintet.pipeline("sentiment", model=checkpoint, device="cpu")
    for example in report.facts.examples:
        answers = classify(example.inputs["text"], top_k=None)
        assert [each["label"] for each in example.outputs] == [each["label"] for each in answers]
        assert [each["score"] for each in example.outputs] == pytest.approx([each["score"] for each in answers])
    assert [example.inputs["text"] for example in card(checkpoint).facts.examples] == ["great soup", "awful film"]
    widget = read_readme(report.text).metadata["widget"]
    assert [each["text"] for each in widget] == ["great soup", "awful film"]


@pytest.mark.parametrize("kind", ["single_label_classification", "multi_label_classification", "regression"])
def test_snippets_of_every_kind_run_alike_in_both_libraries(bert, kind):
    config = json.loads((bert / "config.json").read_text())
    if kind == "regression":
        config |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
        drop_second_output(bert)
    (bert / "config.json").write_text(json.dumps(config | {"problem_type": kind}))
    facts = RunFacts(task="text-classification", checkpoint_name="bert", family="bert", problem_type=kind)
    inputs = [{"text": "a good film"}, {"text": 'a "bad" film', "text_pair": "good"}]
    runs = run_snippets(snippets(facts, inputs), str(bert))
    assert [run.problem for run in runs] == [None, None]
    assert printed_alike(runs[0].usage.output, runs[1].usage.output)
    lines = runs[0].usage.output.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("[") == (kind == "multi_label_classification") for line in lines)
    assert all(CHECKPOINT_PLACEHOLDER in run.usage.code for run in runs)


def drop_second_output(folder):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"] = tensors["classifier.weight"][:1].contiguous()
    tensors["classifier.bias"] = tensors["classifier.bias"][:1].contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_snippets_for_plain_transformers_run_where_there_is_no_quintet(tmp_path):
    code = "import quintet\nprint(quintet.__version__)"
    hidden, seen = run_snippets([("transformers", code), ("quintet", code)], str(tmp_path))
    assert hidden.problem == "ImportError: this snippet must run without Quintet"
    assert (seen.problem, seen.usage.output) == (None, f"{quintet.__version__}\n")


def test_a_checkpoint_that_plain_transformers_cannot_run_has_no_snippet_for_it(checkpoint):
    for file in checkpoint.glob("*.py"):  # Quintet needs none of them
        file.unlink()
    (checkpoint / "run.json").unlink()
    report = card(checkpoint)
    assert [usage.library for usage in report.facts.usages] == ["quintet"]
    assert report.notes[0].startswith("plain transformers does not run it, so the card has no snippet for it: ")
    assert "In plain transformers" not in report.text
    assert str(checkpoint) not in report.notes[0]


def test_a_snippet_that_quintet_cannot_run_stops_the_card(checkpoint, monkeypatch):
    before = (checkpoint / "README.md").read_bytes()
    monkeypatch.setattr(writing, "snippets", lambda *_: [("quintet", "raise SystemExit('no')")])
    with pytest.raises(PublishError, match="the card's own snippet does not run: no; the card is as it was"):
        card(checkpoint)
    assert (checkpoint / "README.md").read_bytes() == before


def test_examples_are_in_the_language_of_the_checkpoint():
    facts = RunFacts(task="text-classification", checkpoint_name="x", languages=("yue", "zh"))
    assert [each["text"] for each in default_examples(facts)] == list(SENTENCES["zh"])
    data = DataFacts(name="x", kind="local", columns={"text": "a", "text_pair": "b"})
    pairs = replace(facts, languages=None, data=data)
    assert default_examples(pairs) == [{"text": SENTENCES["en"][0], "text_pair": SENTENCES["en"][1]}]


def test_a_task_without_snippets_has_no_usage():
    assert snippets(RunFacts(task="image-generation", checkpoint_name="x"), [{"seed": 1}]) == []


# ---------------------------------------------------------------------------------------- what is drawn


def test_pictures_are_drawn_where_they_are_missing(checkpoint, quick):
    for name in ("confusion.png", "curves.png"):
        (checkpoint / name).unlink()
    report = card(checkpoint)
    assert report.facts.pictures == ("confusion.png", "curves.png")
    for name in report.facts.pictures:
        assert (checkpoint / name).read_bytes().startswith(b"\x89PNG")
        assert f"]({name})" in report.text


def test_without_a_log_there_are_no_curves(checkpoint, quick):
    (checkpoint / "curves.png").unlink()
    (checkpoint / "log.jsonl").unlink()
    report = card(checkpoint)
    assert report.facts.pictures == ("confusion.png",)
    assert "curves.png" not in report.text


# ----------------------------------------------------------------------------------------- what is kept


def test_what_a_person_wrote_is_kept(checkpoint, quick):
    readme = checkpoint / "README.md"
    edited(readme, WORDS_END, "## Licence of the data\n\nIt was ours.\n" + WORDS_END)
    edited(readme, "tags:\n- quintet", "thumbnail: x.png\ntags:\n- mine\n- quintet")
    edited(readme, "<!-- quintet card", "Above.\n\n<!-- quintet card")
    with readme.open("a", encoding="utf-8") as file:
        file.write("\nBelow.\n")
    report = card(checkpoint)
    assert report.problems == ()
    written = read_readme(report.text)
    assert written.own_words == "## Licence of the data\n\nIt was ours."
    assert (written.before, written.after) == ("Above.", "Below.")
    assert written.metadata["thumbnail"] == "x.png"
    assert written.metadata["tags"][-1] == "mine"
    assert card(checkpoint).text == report.text


def test_a_tag_that_facts_gave_goes_when_they_no_longer_do(checkpoint, quick):
    def tags():
        return read_readme((checkpoint / "README.md").read_text(encoding="utf-8")).metadata["tags"]

    assert tags() == ["quintet", "sentiment-analysis", "textcnn"]
    write_facts(replace(read_facts(checkpoint), settings={}, family="gru"), checkpoint)
    card(checkpoint)
    assert tags() == ["quintet", "gru"]


def test_a_number_changed_by_hand_is_put_right(checkpoint, quick):
    readme = checkpoint / "README.md"
    before = readme.read_bytes()
    text = readme.read_text(encoding="utf-8")
    value = re.search(r"value: (\S+)", text)
    edited(readme, value[0], "value: 0.999")
    assert [problem.split(" is ")[1].split(",")[0] for problem in card(checkpoint, check=True).problems] == ["0.999"]
    card(checkpoint)
    assert readme.read_bytes() == before


def test_own_words_can_be_given_or_written_in_an_editor(checkpoint, quick, monkeypatch, tmp_path):
    assert read_readme(card(checkpoint, own_words="First.").text).own_words == "First."
    script = tmp_path / "editor.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfile = Path(sys.argv[1])\nfile.write_text(file.read_text() + 'Second.')"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(script)]))
    assert read_readme(card(checkpoint, edit=True).text).own_words == "First.\nSecond."


@pytest.mark.parametrize(
    ("editor", "sentence"),
    [
        (None, "--edit opens the editor that VISUAL or EDITOR names, and neither is set; set one, or write between"),
        ("no-such-editor", r"the editor 'no-such-editor' cannot be started \(No such file or directory\); set EDITOR"),
        ("false", "the editor 'false' ended with exit code 1; the card is as it was"),
    ],
)
def test_editors_that_do_not_work_leave_the_card_as_it_was(checkpoint, monkeypatch, editor, sentence):
    before = (checkpoint / "README.md").read_bytes()
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    if editor:
        monkeypatch.setenv("EDITOR", editor)
    with pytest.raises(UsageError, match=sentence):
        card(checkpoint, edit=True)
    assert (checkpoint / "README.md").read_bytes() == before


def test_a_readme_by_hand_is_kept_and_the_card_appended_only_when_asked(bert, request):
    before = (bert / "README.md").read_bytes()
    with pytest.raises(
        UsageError, match=r"README.md in 'bert' was not written by `quintet card`, so it is kept as it is"
    ):
        card(bert)
    assert (bert / "README.md").read_bytes() == before
    assert not (bert / "run.json").exists()

    report = card(bert, append=True)
    assert report.problems == ()
    written = read_readme(report.text)
    assert written.before == "# A random model"
    assert written.metadata["license"] == "mit"
    assert report.facts.licence == "mit"
    assert "Not recorded: training data, settings and course of the training and metrics." in report.text
    assert [usage.library for usage in report.facts.usages] == ["quintet", "transformers"]
    assert report.notes == (
        "the language of the texts is not recorded: --language en, for instance",
        "no metrics are recorded: `quintet evaluate` measures the checkpoint and keeps them",
    )
    facts = read_facts(bert)
    assert (facts.family, facts.labels, facts.training) == ("bert", ("negative", "positive"), None)
    assert "model.safetensors" in facts.files_sha256
    request.getfixturevalue("quick")
    assert card(bert).text == report.text


def test_front_matter_that_cannot_be_read_is_not_overwritten(checkpoint):
    readme = checkpoint / "README.md"
    edited(readme, "license: apache-2.0", "license: [apache-2.0")
    before = readme.read_bytes()
    with pytest.raises(DataError, match=r"the front matter of README.md in 'reviews' cannot be read \(line \d+: "):
        card(checkpoint)
    assert readme.read_bytes() == before


def test_texts_of_the_data_are_taken_out_when_asked(checkpoint, quick):
    facts = read_facts(checkpoint)
    wrong = MistakeFact(row=1, text="a private text", label="positive", prediction="negative", confidence=0.9)
    evaluations = tuple(replace(one, mistakes=(wrong,)) for one in facts.evaluations)
    write_facts(replace(facts, evaluations=evaluations), checkpoint)
    report = card(checkpoint)
    assert "`a private text`" in report.text
    assert report.notes == ("run.json quotes 2 texts of the data, the card some of them: --no-texts takes them out",)
    report = card(checkpoint, texts=False)
    assert report.notes == ()
    assert "a private text" not in report.text + (checkpoint / "run.json").read_text(encoding="utf-8")


def test_a_readme_in_another_encoding_says_so(checkpoint):
    (checkpoint / "README.md").write_bytes("---\nlicense: mit\n---\nmüde".encode("latin-1"))
    with pytest.raises(DataError, match=r"README.md is not text in UTF-8 \(.* at byte 22\); save it in UTF-8"):
        card(checkpoint)


# -------------------------------------------------------------------------------- licence and language


def test_licence_and_language_are_kept_as_facts(checkpoint, quick):
    report = card(checkpoint, license="CC-BY-4.0", language=["en", "de"])
    assert (report.facts.licence, report.facts.languages) == ("cc-by-4.0", ("en", "de"))
    assert card(checkpoint).facts.licence == "cc-by-4.0"
    edited(checkpoint / "README.md", "license: cc-by-4.0", "license: mit")  # the owner's hand is the latest word
    assert card(checkpoint).facts.licence == "mit"


def test_another_licence_needs_name_and_link(checkpoint, quick):
    with pytest.raises(UsageError, match="license 'other' needs a name and a link: --license-name NAME --license-link"):
        card(checkpoint, license="other")
    report = card(checkpoint, license="other", license_name="mine-1.0", license_link="LICENSE")
    values = read_readme(report.text).metadata
    assert [values[key] for key in ("license", "license_name", "license_link")] == ["other", "mine-1.0", "LICENSE"]
    assert card(checkpoint).text == report.text
    assert "license_name" not in read_readme(card(checkpoint, license="mit").text).metadata


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"license": "gpl-2.0-or-later"},
            "license 'gpl-2.0-or-later' is not one that the Hub has; did you mean .*gpl-2.0",
        ),
        ({"license": "my own"}, "license 'my own' is not one that the Hub has; For any other give --license other"),
        ({"language": "english"}, r"language 'english' is no code of ISO 639; did you mean en\?"),
        ({"language": "q9"}, "language 'q9' is no code of ISO 639; expected one such as en or zh"),
        ({"repository": "me/a b"}, "repository 'me/a b' is no Hub id; expected one such as me/reviews"),
    ],
)
def test_what_the_hub_would_refuse_is_refused_before_anything_runs(checkpoint, given, sentence):
    before = (checkpoint / "README.md").read_bytes()
    with pytest.raises(UsageError, match=sentence):
        card(checkpoint, **given)
    assert (checkpoint / "README.md").read_bytes() == before


def test_an_unknown_licence_by_hand_is_refused(checkpoint):
    edited(checkpoint / "README.md", "license: apache-2.0", "license: apache")
    with pytest.raises(UsageError, match=r"license 'apache' is not one that the Hub has; did you mean apache-2\.0"):
        card(checkpoint)


# --------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_file_other_than_the_one_measured_is_refused(checkpoint, name):
    content = (checkpoint / name).read_bytes()
    # the last bit of the last weight; a space that changes nothing but the bytes
    changed = content[:-1] + bytes([content[-1] ^ 1]) if name == "model.safetensors" else content + b" "
    (checkpoint / name).write_bytes(changed)
    with pytest.raises(DataError, match=f"{name} of 'reviews' differ by their sha256 from what run.json is about"):
        card(checkpoint)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("sentiment-en", "checkpoint 'sentiment-en' comes with Quintet and has its card; --check compares it"),
        (
            "me/reviews",
            "there is no folder 'reviews'; a card is written into a checkpoint's folder: for one on the Hub run",
        ),
    ],
)
def test_only_a_folder_gets_a_card(name, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=sentence):
        card(name)


def test_a_folder_without_a_checkpoint_and_a_file_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"folder '.*' has no config.json; expected a checkpoint's folder"):
        card(tmp_path)
    (tmp_path / "x.md").write_text("")
    with pytest.raises(
        UsageError, match=r"'x\.md' is a file; give the checkpoint's folder, or --check to check a card"
    ):
        card(tmp_path / "x.md")


def test_broken_facts_are_named(checkpoint):
    (checkpoint / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"checkpoint 'reviews': run\.json is not valid JSON"):
        card(checkpoint)


def test_a_full_disk_leaves_the_old_card(checkpoint, quick, monkeypatch):
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    facts = read_facts(checkpoint)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match=r"'reviews' cannot be written to \(No space left on device\)"):
        card(checkpoint, own_words="New.")
    after = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    assert after == before
    assert read_facts(checkpoint) == facts


# ------------------------------------------------------------------------------------------------ check


@pytest.mark.parametrize("name", ["lstm-shakespeare", "sentiment-en", "sentiment-zh"])
def test_the_embedded_checkpoints_have_cards_without_problems(name):
    report = card(name, check=True)
    assert report.problems == ()
    assert not report.written
    assert report.facts.licence == "apache-2.0"
    assert [usage.library for usage in report.facts.usages] == ["quintet", "transformers"]
    assert "states no licence" in " ".join(read_readme(report.text).own_words.split()).replace("state no", "states no")


def test_the_example_in_the_documents_has_no_problem():
    folder = Path(quintet.__file__).parent / "docs/example-card"
    report = card(folder / "README.md", check=True)
    assert report.problems == ()
    assert report.facts.pictures == ("confusion.png", "curves.png")


def test_a_check_takes_a_folder_or_a_readme_and_writes_nothing(checkpoint):
    before = {path.name: path.stat().st_mtime_ns for path in checkpoint.iterdir()}
    for given in (checkpoint, checkpoint / "README.md"):
        report = card(given, check=True)
        assert (report.problems, report.name) == ((), "reviews")
    assert {path.name: path.stat().st_mtime_ns for path in checkpoint.iterdir()} == before
    (checkpoint / "README.md").unlink()
    with pytest.raises(UsageError, match=r"checkpoint 'reviews' has no README.md; `quintet card` writes one"):
        card(checkpoint, check=True)


def test_a_card_on_a_hub_is_checked_with_its_pictures(checkpoint, tmp_path):
    from hub_serving import serving, upload

    (checkpoint / "curves.png").unlink()
    with serving(tmp_path / "hub") as hub:
        upload(hub, "me/reviews", checkpoint)
        done = subprocess.run(
            [sys.executable, "-m", "quintet", "card", "me/reviews", "--check", "--json"],
            env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["problems"] == [
        "the picture 'curves.png' is not in the folder; `quintet card` writes it again"
    ]


def test_evaluations_of_other_weights_are_said_to_be(checkpoint, quick):
    facts = read_facts(checkpoint)
    other = replace(facts.evaluations[-1], weights_sha256="ab" * 32, fingerprint="cd" * 32)
    write_facts(replace(facts, evaluations=(*facts.evaluations, other)), checkpoint)
    assert f"Measured on other weights than these: sha256 `{'ab' * 32}`." in card(checkpoint).text


# ---------------------------------------------------------------------------------------------- command


def command(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


def test_a_readme_that_is_a_folder_changes_nothing(checkpoint, quick):
    (checkpoint / "README.md").unlink()
    (checkpoint / "README.md").mkdir()
    facts = (checkpoint / "run.json").read_bytes()
    with pytest.raises(UsageError, match=r"README\.md in 'reviews' is a folder, expected a file; move it away"):
        card(checkpoint, license="mit")
    assert (checkpoint / "run.json").read_bytes() == facts


def test_facts_are_not_written_where_their_card_cannot_be(tmp_path):
    written = []
    with pytest.raises(OSError, match="No such file"):
        writing._write(tmp_path / "gone" / "README.md", "a card", before=lambda: written.append("facts"))
    assert written == []
    (tmp_path / "README.md").write_text("as it was", encoding="utf-8")
    with pytest.raises(OSError, match="full"):
        writing._write(tmp_path / "README.md", "a card", before=lambda: (_ for _ in ()).throw(OSError("full")))
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["as it was"]


def test_the_command_writes_and_checks(checkpoint, quick, capsys):
    code, out, _ = command(capsys, "card", str(checkpoint), "--license", "mit", "--example", "great soup")
    assert code == 0
    assert f"card: {checkpoint / 'README.md'}" in out
    assert "next: quintet publish" in out
    assert read_facts(checkpoint).examples[0].inputs == {"text": "great soup"}
    code, out, _ = command(capsys, "card", str(checkpoint), "--check")
    assert (code, out.strip()) == (0, "no problem in the card of reviews")
    edited(checkpoint / "README.md", "license: mit", "license: mit2")
    code, out, err = command(capsys, "card", str(checkpoint), "--check", "--json")
    assert code == 1
    assert json.loads(out)["problems"] == [
        "license 'mit2' is not one that the Hub has; choose one by `quintet card --license`"
    ]
    assert "1 problem in the card of reviews" in err


def test_the_command_says_wrong_usage_in_one_sentence(checkpoint, capsys):
    code, _, err = command(capsys, "card", str(checkpoint), "--license", "mit2")
    assert code == 2
    assert err.startswith("error: license 'mit2' is not one that the Hub has; did you mean mit?")
    assert len(err.strip().splitlines()) == 1
