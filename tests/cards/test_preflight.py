"""What is found before anything is sent: a checkpoint that is not whole, or not the one of its facts and card."""

import json
from dataclasses import replace

import pytest
from quintet.cards import preflight
from quintet.cards.facts import read_facts, write_facts
from quintet.cards.publishing import publish
from quintet.pipelines.errors import PublishError

REPOSITORY = "tester/reviews"


def refusal(folder, **options):
    """The sentences with which publishing ends; a dry run finds the same ones, and needs no network for it."""
    with pytest.raises(PublishError, match="is not ready to be published") as caught:
        publish(folder, REPOSITORY, dry_run=True, token="any", endpoint="http://127.0.0.1:9", **options)
    assert "othing was changed" in str(caught.value)
    return str(caught.value)


def test_everything_that_is_wrong_is_listed_at_once(checkpoint):
    (checkpoint / "README.md").unlink()
    write_facts(_without_licence(checkpoint), checkpoint)
    (checkpoint / "pytorch_model.bin").write_bytes(b"PK\x03\x04archive/data.pkl")
    (checkpoint / "reviews.csv").write_text("text\n", encoding="utf-8")
    (checkpoint / "empty.json").touch()
    (checkpoint / "notes.md").write_text("trained in /home/ann/secret/project\n", encoding="utf-8")
    text = refusal(checkpoint)
    assert "5 things to correct" in text
    assert "pytorch_model.bin is a pickle" in text
    assert "reviews.csv is no part of a checkpoint" in text
    assert "empty.json is empty" in text
    assert "notes.md, line 1: it has a local path" in text
    assert "no licence is chosen" in text


def _without_licence(folder):
    return replace(read_facts(folder), licence=None)


# -------------------------------------------------------------------------------------------------- answers


def test_weights_changed_by_one_bit_are_found(checkpoint):
    path = checkpoint / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-2] ^= 0x40
    path.write_bytes(data)
    assert "model.safetensors is not the file that run.json is about, by its sha256" in refusal(checkpoint)


def test_answers_that_changed_are_found_where_no_hash_tells(checkpoint):
    facts = read_facts(checkpoint)
    other = tuple({**answer, "score": 1 - answer["score"]} for answer in facts.examples[0].outputs)
    examples = (replace(facts.examples[0], outputs=other), *facts.examples[1:])
    write_facts(replace(facts, examples=examples, files_sha256={}, weights_sha256=None), checkpoint)
    (checkpoint / "README.md").write_text("---\nlicense: mit\n---\n\n# By hand\n", encoding="utf-8")
    assert "stored example 1 is answered otherwise than run.json says" in refusal(checkpoint)


def test_another_tokenizer_is_found(checkpoint):
    path = checkpoint / "tokenizer.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["normalizer"] = {"type": "Replace", "pattern": {"String": "o"}, "content": "x"}
    path.write_text(json.dumps(document), encoding="utf-8")
    assert "tokenizer.json is not the file that run.json is about" in refusal(checkpoint)


def test_a_file_that_the_facts_do_not_know_is_found_as_verify_finds_it(checkpoint):
    (checkpoint / "run.py").write_text("print()\n", encoding="utf-8")
    (checkpoint / "model-00001-of-00002.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes())
    text = refusal(checkpoint)
    assert "2 things to correct" in text
    for name in ("run.py", "model-00001-of-00002.safetensors"):
        assert f"{name} is none of the files that run.json is about; move it out, or delete run.json" in text
    write_facts(replace(read_facts(checkpoint), files_sha256={}), checkpoint)  # as facts of early versions are
    assert preflight.check_recorded(checkpoint, read_facts(checkpoint), {"run.py"}) == []


def test_weights_that_are_cut_off_are_found(checkpoint):
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    write_facts(replace(read_facts(checkpoint), files_sha256={}, weights_sha256=None), checkpoint)
    (checkpoint / "README.md").write_text("---\nlicense: mit\n---\n\n# By hand\n", encoding="utf-8")
    assert "it does not load from disk" in refusal(checkpoint)


def test_a_folder_without_weights_or_configuration_is_told(tmp_path):
    (tmp_path / "notes.md").write_text("nothing\n", encoding="utf-8")
    text = refusal(tmp_path, license="mit")
    assert "there is no config.json" in text and "there is no model.safetensors" in text


def test_facts_that_cannot_be_read_are_told(checkpoint):
    (checkpoint / "run.json").write_text("{", encoding="utf-8")
    assert "run.json" in refusal(checkpoint)


# ---------------------------------------------------------------------------------------------------- cards


def test_a_number_changed_by_hand_is_found(checkpoint):
    path = checkpoint / "README.md"
    text = path.read_text(encoding="utf-8")
    accuracy = next(line for line in text.splitlines() if line.startswith("| accuracy"))
    path.write_text(text.replace(accuracy, accuracy.replace("0.", "0.9", 1)), encoding="utf-8")
    assert "README.md:" in refusal(checkpoint)


def test_a_model_index_broken_by_hand_is_found(checkpoint):
    path = checkpoint / "README.md"
    path.write_text(path.read_text(encoding="utf-8").replace("  results:\n", "  outcomes:\n", 1), encoding="utf-8")
    assert "model-index[0].results" in refusal(checkpoint)


def test_a_card_by_hand_without_front_matter_is_found(checkpoint):
    (checkpoint / "README.md").write_text("# Mine\n", encoding="utf-8")
    assert "no licence is chosen" in refusal(checkpoint)


def by_hand(folder, text, front="license: mit"):
    (folder / "README.md").write_text(f"---\n{front}\n---\n\n# Mine\n\n{text}\n", encoding="utf-8")


def test_of_a_card_by_hand_stops_only_what_a_hub_refuses_or_leads_out(checkpoint, short_waits):
    by_hand(checkpoint, "Accuracy 0.9712.\n\n![a](absent.png)")
    report = publish(checkpoint, REPOSITORY, dry_run=True, token="any", endpoint="http://127.0.0.1:9")
    told = [notice for notice in report.notices if notice.startswith("README.md: ")]
    assert [notice[11:41] for notice in told] == ["the number 0.9712 in your own ", "the picture 'absent.png' is no"]

    by_hand(checkpoint, "Accuracy 0.9712.\n\n![a](../absent.png)", front="license: mit\nlibrary_name: [run.json]")
    text = refusal(checkpoint)
    assert "2 things to correct" in text
    assert "README.md: library_name is ['run.json'], expected text." in text
    assert "README.md: the picture 'absent.png' is named by a path that leads out of the checkpoint" in text


def test_every_problem_of_our_own_card_stops_it_but_a_draft_is_not_compared(checkpoint, short_waits):
    path = checkpoint / "README.md"
    path.write_text(path.read_text(encoding="utf-8").replace("(curves.png)", "(absent.png)"), encoding="utf-8")
    assert "README.md: the picture 'absent.png' is not in the folder" in refusal(checkpoint)

    (checkpoint / "curves.png").unlink()
    options = {"dry_run": True, "token": "any", "endpoint": "http://127.0.0.1:9"}
    report = publish(checkpoint, "tester/another", **options)  # for which the card is to be written anew
    assert [notice for notice in report.notices if "README.md" in notice] == []


def test_all_free_memory_is_asked_of_the_machine():
    assert preflight._free_memory() > 1_000_000
