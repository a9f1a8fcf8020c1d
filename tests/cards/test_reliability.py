"""Every step of publishing and loading under every fault: what became of it, and that the same command then goes on.

The table of docs/reliability.md is `ROWS`: each row is tried here, and a test compares the document with it. After a
change: ``python tests/cards/test_reliability.py`` writes the table into the document.
"""

import json
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs/reliability.md"
REPOSITORY = "tester/reviews"
ALWAYS = 100_000
LATE = {"lfs": 0.6, "xet": 1.5}
"""Seconds until an answer that comes too late: our timeout is half of the first, that of hf_xet one second."""

DONE = "done"
NOTED = "done; a note says what was not checked"
NOTHING = "nothing changed"
EMPTY = "nothing published; an empty repository stays, as the sentence says"
UNKNOWN = "not known, as the sentence says; the same command tells"
REFUSED = "not loaded; the next try fetches it anew"
UNLOADED = "not loaded"


def fault(action, path, method=None, times=1, **more):
    return {"action": action, "path": path, "method": method, "times": times, **more}


def status(code, path, method=None, times=1, message="", **more):
    more.setdefault("body", json.dumps({"error": message or f"Injected fault {code}"}))
    return fault("status", path, method, times, status=code, **more)


@dataclass(frozen=True)
class Row:
    """A fault at a step, and the outcome.

    Attributes:
        step: what is being done.
        fault: what happens.
        outcome: one of the constants above.
        faults: for the Hub on loopback.
        says: is in the error, or in a note.
        transport: how large files travel.
        case: ``new`` repository, ``existing``, ``branch`` or ``pull`` request to an existing one, or ``load``.
        token: of the account.
        is_slow: whether it is among those that are run by hand.
    """

    step: str
    fault: str
    outcome: str
    faults: tuple[dict, ...]
    says: str = ""
    transport: str = "lfs"
    case: str = "new"
    token: str = "write"
    is_slow: bool = False

    @property
    def name(self):
        return f"{self.step}, {self.fault}, {self.transport}"


WHO, TREE = "/api/whoami", "/api/models/tester/reviews/tree/"
INFO = r"/api/models/tester/reviews(/revision/[^/]+)?$"
CREATE, DELETE, REFS, BRANCH, YAML = "/repos/create", "/repos/delete", "/refs$", "/branch/", "/validate-yaml"
PREUPLOAD, BATCH, STORAGE, VERIFY = "/preupload/", "objects/batch", "/storage/", "objects/verify"
XET_TOKEN, XET_READ, XORB, SHARD = "xet-write-token", "xet-read-token", "/v1/xorbs", "/v1/shards"
COMMIT, RESOLVE, PARTS = "/commit/", "/resolve/", "/v1/reconstructions"
QUOTA = "Private repository storage limit reached, please upgrade your plan"
SOON = {"Retry-After": "0"}


def passing(step, path, method, *, late=True, **row):
    """Faults that pass: each comes once, and the command gets done."""
    skip, delay = row.pop("skip", 0), LATE[row.get("transport", "lfs")]
    found = [
        ("status 500 once", status(500, path, method, skip=skip)),
        ("status 429 with Retry-After", status(429, path, method, skip=skip, headers=SOON)),
        ("connection reset once", fault("reset", path, method, skip=skip)),
        ("half of the answer once", fault("half", path, method, skip=skip)),
        ("answer lost once", fault("lose", path, method, skip=skip)),
    ]
    if late:
        found.append(("no answer in time once", fault("slow", path, method, skip=skip, delay=delay)))
    return [Row(step, name, DONE, (each,), **row) for name, each in found]


def lasting(step, path, method, says, outcome=NOTHING, *, late=True, is_slow=False, **row):
    """Faults that last: the sentence names the step."""
    skip, delay = row.pop("skip", 0), LATE[row.get("transport", "lfs")]
    found = [
        ("status 503 for good", status(503, path, method, ALWAYS, skip=skip)),
        ("connection reset for good", fault("reset", path, method, ALWAYS, skip=skip)),
    ]
    if late:
        found.append(("no answer ever", fault("slow", path, method, ALWAYS, skip=skip, delay=delay)))
    slow = {"no answer ever"} if is_slow else ()
    return [Row(step, name, outcome, (each,), says, is_slow=name in slow, **row) for name, each in found]


def refusing(step, path, method, *, case="new", transport="lfs"):
    """Refusals: no room, and a token that may not."""
    row = {"case": case, "transport": transport}
    quota, right = status(403, path, method, ALWAYS, QUOTA), status(403, path, method, ALWAYS, "You have no rights")
    return [
        Row(step, "full quota", NOTHING, (quota,), "no room left for this account", **row),
        Row(step, "no right to write", NOTHING, (right,), "use a token that may write to 'tester'", **row),
        Row(step, "token expired meanwhile", NOTHING, (status(401, path, method, ALWAYS),), "wrong, expired or", **row),
    ]


TOKENS = {
    "write": {"user": "tester", "role": "write"},
    "read": {"user": "tester", "role": "read"},
    "other": {"user": "other", "role": "write"},
}

PUBLISHING = [
    *passing("check the token", WHO, "GET"),
    *lasting("check the token", WHO, "GET", "cannot check the token"),
    Row("check the token", "expired token", NOTHING, (status(401, WHO, times=ALWAYS),), "wrong, expired or revoked"),
    Row(
        "check the token",
        "told to wait an hour",
        NOTHING,
        (status(429, WHO, times=ALWAYS, headers={"Retry-After": "3600"}),),
        "again in 3600 seconds",
    ),
    Row(
        "check the token",
        "a web page in place of a Hub",
        NOTHING,
        (status(200, WHO, times=ALWAYS, body="<html></html>"),),
        "check HF_ENDPOINT",
    ),
    Row("check the token", "token may only read", NOTHING, (), "may only read", token="read"),
    Row("check the token", "token of someone else", NOTHING, (), "has no right to write to 'tester'", token="other"),
    *passing("look at the repository", INFO, "GET"),
    *lasting("look at the repository", INFO, "GET", "cannot look at 'tester/reviews'"),
    *passing("list its files", TREE, "GET", case="existing"),
    *lasting("list its files", TREE, "GET", "cannot look at 'tester/reviews'", case="existing", is_slow=True),
    *passing("make the repository", CREATE, "POST"),
    *lasting("make the repository", CREATE, "POST", "cannot create 'tester/reviews'", late=False),
    Row(
        "make the repository",
        "every answer too late",
        DONE,
        (fault("slow", CREATE, "POST", ALWAYS, delay=LATE["lfs"]),),
    ),
    *refusing("make the repository", CREATE, "POST"),
    Row(
        "make the repository",
        "name taken by one that cannot be seen",
        NOTHING,
        (status(409, CREATE, "POST", ALWAYS, body='{"error": "taken", "url": "x"}'),),
        "the name is taken",
    ),
    *passing("make the branch", BRANCH, "POST", case="branch"),
    *lasting("make the branch", BRANCH, "POST", "cannot make the branch 'v2'", case="branch", late=False),
    *passing("ask how files travel", PREUPLOAD, "POST"),
    *lasting("ask how files travel", PREUPLOAD, "POST", "cannot upload to"),
    *refusing("ask how files travel", PREUPLOAD, "POST"),
    *passing("upload: ask for a place", BATCH, "POST"),
    *lasting("upload: ask for a place", BATCH, "POST", "cannot upload to"),
    *refusing("upload: ask for a place", BATCH, "POST"),
    *passing("upload: send the content", STORAGE, "PUT"),
    *lasting("upload: send the content", STORAGE, "PUT", "cannot upload to"),
    *refusing("upload: send the content", STORAGE, "PUT"),
    *passing("upload: confirm", VERIFY, "POST"),
    *lasting("upload: confirm", VERIFY, "POST", "cannot upload to"),
    *passing("upload: get a token", XET_TOKEN, "GET", transport="xet"),
    *refusing("upload: get a token", XET_TOKEN, "GET", transport="xet"),
    *lasting("upload: get a token", XET_TOKEN, "GET", "cannot upload to", transport="xet", late=False),
    Row(
        "upload: get a token",
        "no Xet storage",
        NOTHING,
        (status(404, XET_TOKEN, times=ALWAYS),),
        "a Hub without Xet storage needs HF_HUB_DISABLE_XET=1",
        transport="xet",
    ),
    *passing("upload: send the content", XORB, "POST", transport="xet"),
    *lasting("upload: send the content", XORB, "POST", "cannot upload to", transport="xet", late=False),
    Row(
        "upload: send the content",
        "no answer ever",
        NOTHING,
        (fault("slow", XORB, "POST", ALWAYS, delay=LATE["xet"]),),
        "cannot upload to",
        transport="xet",
        is_slow=True,
    ),
    *passing("upload: say which parts", SHARD, "POST", transport="xet"),
    *lasting("upload: say which parts", SHARD, "POST", "cannot upload to", transport="xet", late=False),
    *passing("check the card", YAML, "POST"),
    *lasting("check the card", YAML, "POST", "cannot commit to"),
    Row(
        "check the card",
        "card refused",
        NOTHING,
        (
            status(
                400, YAML, "POST", ALWAYS, body='{"errors": [{"message": "license must be one of"}], "warnings": []}'
            ),
        ),
        "the Hub refuses the card README.md: - license must be one of",
    ),
    *passing("commit", COMMIT, "POST"),
    *lasting("commit", COMMIT, "POST", "cannot commit to", late=False),
    *refusing("commit", COMMIT, "POST"),
    Row("commit", "answer lost, then status 500", DONE, (fault("lose", COMMIT, "POST"), status(500, COMMIT, "POST"))),
    Row("commit", "every answer lost", DONE, (fault("lose", COMMIT, "POST", ALWAYS),)),
    Row("commit", "every answer too late", DONE, (fault("slow", COMMIT, "POST", ALWAYS, delay=LATE["lfs"]),)),
    Row(
        "commit",
        "someone else commits first",
        NOTHING,
        (status(412, COMMIT, "POST", ALWAYS),),
        "someone else committed to",
        case="existing",
    ),
    *passing("commit", COMMIT, "POST", transport="xet"),
    *passing("commit to an existing repository", COMMIT, "POST", case="existing"),
    *(row for row in passing("commit as a pull request", COMMIT, "POST", case="pull") if "reset" not in row.fault),
    Row(
        "commit as a pull request",
        "connection reset once",
        NOTHING,
        (fault("reset", COMMIT, "POST"),),
        "run the same command again",
        case="pull",
    ),
    Row(
        "commit as a pull request",
        "status 503 for good",
        NOTHING,
        (status(503, COMMIT, "POST", ALWAYS),),
        "cannot commit to",
        case="pull",
    ),
    *passing("read back the list", TREE, "GET", skip=1),
    *lasting("read back the list", TREE, "GET", "could not be read back", NOTED, skip=1, is_slow=True),
    Row("read back the list", "a byte changed on the way once", DONE, (fault("corrupt", TREE, "GET", skip=1),)),
    *passing("read back a file", RESOLVE, "GET", late=False),
    *lasting("read back a file", RESOLVE, "GET", "could not be read back", NOTED, late=False),
    Row("read back a file", "a byte changed on the way once", DONE, (fault("corrupt", RESOLVE, "GET"),)),
    Row(
        "read back a file",
        "a byte changed on the way always",
        NOTED,
        (fault("corrupt", RESOLVE, "GET", ALWAYS),),
        "came back damaged 3 times",
    ),
    *passing("read back a large file", STORAGE, "GET", late=False),
    Row("read back a large file", "a byte changed on the way once", DONE, (fault("corrupt", STORAGE, "GET"),)),
    *passing("read back a large file", PARTS, "GET", transport="xet", late=False),
    Row(
        "read back a large file",
        "a byte changed on the way once",
        DONE,
        (fault("corrupt", XORB, "GET"),),
        transport="xet",
    ),
    Row(
        "clean up after a failure",
        "the Hub is gone after making the repository",
        EMPTY,
        (fault("reset", PREUPLOAD, "POST", then=fault("reset", ".", times=ALWAYS)),),
        "is empty and stays",
    ),
    Row(
        "clean up after a failure",
        "the answer to making the repository was lost, too",
        NOTHING,
        (fault("lose", CREATE, "POST"), status(503, PREUPLOAD, "POST", ALWAYS)),
        "the repository made for it was removed again",
    ),
    Row(
        "clean up after a failure",
        "a branch was made for it",
        NOTHING,
        (status(503, PREUPLOAD, "POST", ALWAYS),),
        "the branch made for it was removed again",
        case="branch",
    ),
    Row(
        "clean up after a failure",
        "deleting is not allowed",
        EMPTY,
        (status(503, PREUPLOAD, "POST", ALWAYS), status(403, DELETE, None, ALWAYS)),
        "is empty and stays",
    ),
    Row(
        "commit",
        "answer lost, and the Hub is gone from then on",
        UNKNOWN,
        (fault("lose", COMMIT, "POST", then=fault("reset", ".", times=ALWAYS)),),
        "Whether the commit arrived cannot be seen",
    ),
]
HEAD_CONFIG, HEAD_WEIGHTS = "/resolve/.*config.json", "/resolve/.*model.safetensors"


def loading(step, path, method, *, unchecked=(), transport="lfs"):
    """Faults while a checkpoint is loaded by its name, once and for good."""
    row = {"transport": transport, "case": "load"}
    passing_by = [
        ("status 429 with Retry-After", status(429, path, method, headers=SOON)),
        ("connection reset once", fault("reset", path, method)),
        ("answer lost once", fault("lose", path, method)),
        ("half of the answer once", fault("half", path, method)),
    ]
    return [
        *(Row(step, name, DONE, (each,), **row) for name, each in passing_by if name not in unchecked),
        Row(step, "status 503 for good", UNLOADED, (status(503, path, method, ALWAYS),), "tester/reviews", **row),
        Row(step, "no right to read", UNLOADED, (status(403, path, method, ALWAYS),), "tester/reviews", **row),
    ]


LOADING = [
    *loading("load: ask for config.json", HEAD_CONFIG, "HEAD", unchecked=("half of the answer once",)),
    *loading("load: fetch config.json", HEAD_CONFIG, "GET"),
    *loading("load: ask for the weights", HEAD_WEIGHTS, "HEAD", unchecked=("half of the answer once",)),
    *loading("load: fetch the weights", STORAGE, "GET"),
    *loading("load: find the parts of the weights", PARTS, "GET", transport="xet"),
    *loading("load: fetch the weights", XORB, "GET", transport="xet"),
    Row(
        "load: fetch config.json",
        "a byte changed on the way",
        REFUSED,
        (fault("corrupt", HEAD_CONFIG, "GET"),),
        "config.json of Hub repository 'tester/reviews' is not what the Hub has",
        case="load",
    ),
    *(
        Row(
            "load: fetch the weights",
            "a byte changed on the way",
            REFUSED,
            (fault("corrupt", path, "GET"),),
            "model.safetensors of Hub repository 'tester/reviews' is not what the Hub has",
            transport=transport,
            case="load",
        )
        for transport, path in (("lfs", STORAGE), ("xet", XORB))
    ),
]
ROWS = [*PUBLISHING, *LOADING]


# --------------------------------------------------------------------------------------------- document

START, END = "<!-- faults: generated by tests/cards/test_reliability.py -->\n", "<!-- /faults -->"
WITH = {"lfs": "LFS", "xet": "Xet"}
CASES = {"existing": " (to an existing repository)", "branch": " (to a new branch)"}


def table():
    """The rows as the document shows them: totals, then one line for each."""
    totals = Counter(row.outcome for row in ROWS)
    lines = [f"{len(ROWS)} rows, each tried by the test:", "", "| outcome | rows |", "|---|---:|"]
    lines += [f"| {outcome} | {count} |" for outcome, count in totals.most_common()]
    lines += ["", "| step | with | fault | outcome |", "|---|---|---|---|"]
    lines += [
        f"| {row.step}{CASES.get(row.case, '')} | {WITH[row.transport]} | {row.fault} | {row.outcome} |" for row in ROWS
    ]
    return "\n".join(lines) + "\n"


def test_the_document_has_the_rows_that_are_tried():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.partition(START)[2].partition(END)[0] == table()
    assert len(ROWS) == len({row.name + row.case for row in ROWS}) >= 200
    ends = {DONE, NOTED, NOTHING, UNLOADED, REFUSED}
    assert sum(row.outcome not in ends for row in ROWS) == 3  # what cannot be undone or known: the sentence says so


# ------------------------------------------------------------------------------------------- publishing


@pytest.fixture
def content(tmp_path):
    """A folder with a card, a configuration and two large files, as it is ready to be sent."""
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# Reviews\n", encoding="utf-8")
    (folder / "config.json").write_text('{"model_type": "none"}\n', encoding="utf-8")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "training_keys.npz").write_bytes(bytes(range(255, -1, -1)) * 10)
    return folder


def publish(hub, folder, row):
    """What `quintet publish` does after its checks."""
    from quintet.cards.hub import Hub
    from quintet.cards.prepared import Prepared
    from quintet.cards.publish_plan import LocalFile
    from quintet.cards.publish_target import Target
    from quintet.cards.publishing import send

    files = tuple(LocalFile.of(path.name, path) for path in sorted(folder.iterdir()))
    branch = "v2" if row.case == "branch" else "main"
    target = Target(REPOSITORY, "model", False, row.case == "pull", branch, "Publish")
    # only where something hangs, for a busy machine is slow, too
    patience = LATE["lfs"] / 2 if any(each["action"] == "slow" for each in hub.faults) else 30.0
    sender = Hub(hub.url, row.token, timeouts=dict.fromkeys(("connect", "read", "write", "pool"), patience))
    with sender.session():
        return send(sender, target, Prepared(files), dry_run=False, announce=lambda text: None)


def snapshot(hub):
    """All references of the repository and what they point at; None where there is no repository."""
    repo = hub.store.load("models", REPOSITORY)
    return None if repo is None else dict(repo["refs"])


def files_at(hub, commit):
    """Path -> id of the content at a commit."""
    found = hub.store.commit(commit)["files"]
    return {path: entry.get("lfs", entry["oid"]) for path, entry in found.items() if path != ".gitattributes"}


def expected_files(folder):
    from quintet.pipelines.integrity import git_blob_sha1, sha256

    large = (".safetensors", ".npz")
    return {path.name: sha256(path) if path.suffix in large else git_blob_sha1(path) for path in folder.iterdir()}


def landed(hub, row, before):
    """The commits of this publication that are on the Hub."""
    refs = snapshot(hub) or {}
    found = []
    for commit in {commit for ref, commit in refs.items() if (before or {}).get(ref) != commit}:
        while commit and commit not in (before or {}).values():
            entry = hub.store.commit(commit)
            found += [commit] if entry["title"] == "Publish" else []
            commit = entry["parent"]
    return found


def outcome_of(hub, folder, row, before):
    """What became of it, and the words about it."""
    from quintet.pipelines.errors import PublishError

    try:
        report = publish(hub, folder, row)
    except PublishError as error:
        now = snapshot(hub)
        if now == before:
            return NOTHING, str(error)
        if landed(hub, row, before):
            return UNKNOWN, str(error)
        assert set(now) == {"refs/heads/main"} and not files_at(hub, now["refs/heads/main"])
        return EMPTY, str(error)
    (commit,) = landed(hub, row, before)
    assert report.commit == commit and files_at(hub, commit) == expected_files(folder)
    doubts = [notice for notice in report.notices if "verify" in notice]
    return (NOTED if doubts else DONE), " ".join(report.notices)


def spoil(hub, faults):
    """Adds faults; one with ``then`` adds another when it comes."""
    take = hub.take_fault

    def take_and_add(method, path):
        found = take(method, path)
        if found and "then" in found:
            hub.add_fault(**found["then"])
        return found

    hub.take_fault = take_and_add
    for each in faults:
        hub.add_fault(**each)


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.name, marks=[pytest.mark.slow] if row.is_slow else []) for row in PUBLISHING],
)
def test_publishing_under_a_fault(row, tmp_path, content, short_waits, monkeypatch):
    from hub_serving import serving

    with serving(tmp_path / "hub", tokens=TOKENS, xet=row.transport == "xet") as hub:
        if row.case != "new":
            publish(hub, content, Row("", "", "", ()))
            (content / "model.safetensors").write_bytes(bytes(range(256)) * 41)
        if row.case == "pull":  # it is waited for: as long as it takes until it is there
            monkeypatch.setattr("quintet.cards.hub_client.PAUSES", (0.01, 0.01, 2 * LATE["lfs"]))
        before = snapshot(hub)
        spoil(hub, row.faults)
        outcome, words = outcome_of(hub, content, row, before)
        assert not row.faults or any(
            each["times"] < given["times"] for each, given in zip(hub.faults, row.faults, strict=True)
        )
        assert (outcome, row.says if row.says in words else words) == (row.outcome, row.says)

        hub.faults.clear()
        publish(hub, content, replace(row, token="write"))
        if row.step.startswith("commit") and any(each["action"] == "slow" for each in row.faults):
            time.sleep(LATE[row.transport])  # what came too late could still come
        (commit,) = landed(hub, row, before)  # once, whether it took one command or two
        assert files_at(hub, commit) == expected_files(content)


# ---------------------------------------------------------------------------------------------- loading


@pytest.fixture(scope="module")
def published(carded, tmp_path_factory):
    """For both transports a Hub with the carded checkpoint."""
    from hub_serving import serving, upload

    with ExitStack() as stack:
        hubs = {}
        for transport in ("lfs", "xet"):
            folder = tmp_path_factory.mktemp(transport)
            hubs[transport] = stack.enter_context(serving(folder, tokens=TOKENS, xet=transport == "xet"))
            upload(hubs[transport], REPOSITORY, carded, token="write")
        yield hubs


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in LOADING])
def test_loading_under_a_fault(row, published, carded, tmp_path, short_waits, monkeypatch):
    import quintet
    from hub_serving import point_at
    from quintet.pipelines import checkpoint_sources
    from quintet.pipelines.errors import QuintetError

    hub = published[row.transport]
    monkeypatch.setattr(checkpoint_sources, "CONNECT_PAUSES", (0.01, 0.01))
    point_at(hub, tmp_path / "cache", monkeypatch, xet=row.transport == "xet")
    text = "The soup was great."
    expected = quintet.pipeline("sentiment", carded, device="cpu")(text)
    hub.faults.clear()
    spoil(hub, row.faults)
    outcome, words = DONE, ""
    try:
        assert quintet.pipeline("sentiment", REPOSITORY, device="cpu")(text) == expected
    except QuintetError as error:
        outcome, words = (REFUSED if "is not what the Hub has" in str(error) else UNLOADED), str(error)
    assert all(each["times"] < given["times"] for each, given in zip(hub.faults, row.faults, strict=True))
    assert (outcome, row.says if row.says in words else words) == (row.outcome, row.says)
    hub.faults.clear()
    assert quintet.pipeline("sentiment", REPOSITORY, device="cpu")(text) == expected


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(START)
    DOCUMENT.write_text(before + START + table() + END + rest.partition(END)[2], encoding="utf-8")
