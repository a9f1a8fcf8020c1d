"""Publishing a checkpoint folder: what is refused changes nothing in it, whenever it is found; one goes at a time."""

import tempfile
import threading

import pytest
from quintet.cards.facts import read_facts
from quintet.cards.folder_lock import locked
from quintet.cards.prepared import Prepared, keep
from quintet.cards.publish_report import files_text
from quintet.cards.publishing import publish
from quintet.pipelines.errors import HubError, PublishError, UsageError

REPOSITORY = "tester/reviews"
NOWHERE = {"endpoint": "http://127.0.0.1:9", "token": "any"}

only_lfs = pytest.mark.parametrize("transport", ["lfs"], indirect=True)


def contents(folder):
    """Every file of a folder, hidden ones too."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(folder, **options):
    with pytest.raises(PublishError, match="is not ready to be published") as caught:
        publish(folder, REPOSITORY, dry_run=True, **NOWHERE, **options)
    return str(caught.value)


# ------------------------------------------------------------------------------------------- nothing changed


@only_lfs
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"token": "other"}, "'other' has no right to write to 'tester'"),
        ({"token": "wrong"}, "does not accept the token"),
        (NOWHERE, "cannot be reached"),
        ({"revision": "v2"}, "publish it without --revision first"),
    ],
)
def test_what_the_account_may_not_do_is_told_before_the_card_is_written(loopback, checkpoint, options, sentence):
    before, said = contents(checkpoint), []
    with pytest.raises(PublishError, match=sentence):
        publish(
            checkpoint, REPOSITORY, **{"license": "mit", "endpoint": loopback.url, "announce": said.append} | options
        )
    assert contents(checkpoint) == before
    assert not any("card" in text or "Loading" in text for text in said)


@only_lfs
def test_a_card_goes_into_the_folder_once_it_is_published_and_not_before(loopback, checkpoint):
    (checkpoint / "confusion.png").write_bytes(b"drawn anew where the card is")
    before = contents(checkpoint)
    loopback.add_fault(path="/commit/", method="POST", action="status", status=403, body='{"error": "no rights"}')
    with pytest.raises(HubError, match=r"use a token that may write.* Nothing was changed"):
        publish(checkpoint, REPOSITORY, license="mit", endpoint=loopback.url)
    assert contents(checkpoint) == before

    card = checkpoint / "README.md"
    card.write_text(card.read_text(encoding="utf-8") + "\n![plan](plan.png)\n", encoding="utf-8")
    before = contents(checkpoint)
    with pytest.raises(PublishError, match=r"the picture 'plan\.png' is not in the folder.* Nothing was changed\."):
        publish(checkpoint, REPOSITORY, license="mit", endpoint=loopback.url)
    assert contents(checkpoint) == before

    (checkpoint / "plan.png").write_bytes(b"\x89PNG")
    loopback.faults.clear()
    report = publish(checkpoint, REPOSITORY, license="mit", endpoint=loopback.url)
    assert (read_facts(checkpoint).licence, report.status) == ("mit", "published")
    changed = {str(path) for path, content in contents(checkpoint).items() if before.get(path) != content}
    assert changed == {"README.md", "run.json", "confusion.png", "plan.png"}
    assert publish(checkpoint, REPOSITORY, endpoint=loopback.url).status == "unchanged"


def test_what_cannot_be_kept_is_told(tmp_path):
    (tmp_path / "draft").write_text("new", encoding="utf-8")
    gone = Prepared((), written={tmp_path / "gone" / "README.md": tmp_path / "draft"})
    (sentence,) = keep(gone)
    assert sentence == (
        "it was published with a new README.md, which cannot be written into the folder (No such file or directory), "
        "so the one there is as it was."
    )


# -------------------------------------------------------------------------------------------------- the card


def test_a_card_that_is_no_text_is_refused_whoever_wrote_it(bert, checkpoint):
    (bert / "README.md").write_bytes("---\nlicense: mit\n---\n\n# Für alle\n".encode("latin-1"))
    sentence = "README.md is not text in UTF-8 (invalid start byte at byte {}); save it in UTF-8."
    assert sentence.format(25) in refusal(bert)
    card = checkpoint / "README.md"
    text = card.read_bytes().replace(b"<!-- /own words -->", b"for all \xfc\n<!-- /own words -->")
    card.write_bytes(text)
    assert sentence.format(text.index(b"\xfc")) in refusal(checkpoint, license="mit")
    assert card.read_bytes() == text


def test_a_card_by_hand_that_is_blank_broken_or_a_folder_is_told_as_what_it_is(bert, short_waits):
    card = bert / "README.md"
    card.write_text("---\nlicense: [mit\n---\n\n# Mine\n", encoding="utf-8")
    text = refusal(bert)
    assert "README.md: the front matter is no YAML: " in text and "licence" not in text
    card.write_text("\n \n", encoding="utf-8")
    assert "no licence is chosen" in refusal(bert)
    report = publish(bert, REPOSITORY, dry_run=True, license="mit", **NOWHERE)
    assert any("README.md and run.json are written at publishing" in notice for notice in report.notices)
    card.unlink()
    card.mkdir()
    assert "README.md is a folder, expected a file; move it away." in refusal(bert, license="mit")


def test_damaged_marks_are_told(checkpoint):
    card = checkpoint / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace("<!-- /own words -->\n", ""), encoding="utf-8")
    assert "README.md: the marks of own words are damaged" in refusal(checkpoint)


def test_a_licence_of_ones_own_is_linked_to_where_it_is(checkpoint, short_waits):
    options = {"license": "other", "license_name": "ours", "license_link": "OURS.md"}
    assert "--license-link OURS.md is neither a URL nor a file that is published with it" in refusal(
        checkpoint, **options
    )
    (checkpoint / "OURS.md").write_text("Do as you like.\n", encoding="utf-8")
    assert publish(checkpoint, REPOSITORY, dry_run=True, **NOWHERE, **options).status == "planned"
    with pytest.raises(UsageError, match="--license-link x was given with --license mit"):
        publish(checkpoint, REPOSITORY, license="mit", license_link="x", **NOWHERE)


# ---------------------------------------------------------------------------------------------- one at a time


def test_two_publications_of_one_folder_do_not_meet(bert, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with locked(bert):
        sentence = "'bert' is being published by another command at this moment; wait until that is done"
        with pytest.raises(PublishError, match=sentence):
            publish(bert, REPOSITORY, **NOWHERE)
        (tmp_path / "link").symlink_to(bert)
        with pytest.raises(PublishError, match=sentence):
            publish(tmp_path / "link", REPOSITORY, **NOWHERE)
        with locked(tmp_path):
            pass
    with locked(bert):
        pass
    assert list(temporary.iterdir()) == []


@only_lfs
def test_of_two_at_once_one_publishes_and_the_other_is_told(loopback, checkpoint):
    found, start = [], threading.Barrier(2)

    def run():
        start.wait()
        try:
            found.append(publish(checkpoint, REPOSITORY, endpoint=loopback.url).status)
        except PublishError as error:
            found.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found)[0].startswith("'reviews' is being published by another command")
    assert sorted(found)[1] == "published"


# -------------------------------------------------------------------------------------------------- the plan


def test_the_plan_counts_as_people_do_and_stays_in_its_lines():
    from quintet.cards.hub_records import Head
    from quintet.cards.publish_plan import Plan, PlannedFile
    from quintet.cards.publish_report import describe
    from quintet.cards.publish_target import Target

    target = Target(REPOSITORY, "model", False, False, "main", "Publish")
    files = (PlannedFile("a.json", 3, "new"), PlannedFile("b.json", 3, "same"))
    plan = Plan(files, {".x\ny": "hidden"}, kept=("c\nd",))
    assert describe(plan, target, Head("0")).splitlines() == [
        "To the repository 'tester/reviews': 1 change, 3 B",
        "  + a.json (3 B)",
        "  = 1 file there already",
        r"  1 file of the repository not touched: 'c\nd'",
        r"  not published: '.x\ny' (hidden)",
    ]
    assert files_text([1, 2]) == "2 files"
