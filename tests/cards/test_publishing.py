"""Publishing to a Hub on loopback through the real client: what goes up, once, whole, and comes back as it went."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import quintet
from huggingface_hub import HfApi
from quintet.cards import sharding
from quintet.cards.facts import read_facts
from quintet.cards.publishing import publish
from quintet.pipelines.errors import HubError, PublishError, UsageError

REPOSITORY = "tester/reviews"

only_lfs = pytest.mark.parametrize("transport", ["lfs"], indirect=True)


def api(hub, token="write") -> HfApi:
    return HfApi(endpoint=hub.url, token=token)


def titles(hub, revision="main", repository=REPOSITORY):
    return [commit.title for commit in api(hub).list_repo_commits(repository, revision=revision)]


def writes(hub):
    """What was asked of the Hub that changes something there."""
    return [request["path"] for request in hub.requests if request["method"] in ("POST", "PUT", "DELETE")]


def test_a_checkpoint_goes_up_in_one_commit_and_comes_back(loopback, checkpoint):
    said = []
    report = publish(checkpoint, REPOSITORY, endpoint=loopback.url, announce=said.append)

    assert (report.status, report.created) == ("published", True)
    assert report.url == f"{loopback.url}/{REPOSITORY}"
    assert titles(loopback) == ["Publish reviews with Quintet", "initial commit"]
    info = api(loopback).model_info(REPOSITORY, files_metadata=True)
    there = {file.rfilename: file for file in info.siblings}
    assert {file.path for file in report.plan.files} == set(there) - {".gitattributes"}
    weights = (checkpoint / "model.safetensors").read_bytes()
    assert there["model.safetensors"].lfs.sha256 == hashlib.sha256(weights).hexdigest()
    assert info.sha == report.commit and report.fetched == len(report.plan.files) >= 15
    assert any("+ model.safetensors (2.3 kB)" in text for text in said)


def test_again_does_nothing_and_a_change_sends_the_rest(loopback, checkpoint):
    first = publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    before = len(writes(loopback))
    again = publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    assert (again.status, again.commit, again.plan.changes) == ("unchanged", first.commit, ())
    assert len(writes(loopback)) == before

    (checkpoint / "log.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
    third = publish(checkpoint, REPOSITORY, endpoint=loopback.url, message="Shorter log")
    assert [(file.path, file.change) for file in third.plan.changes] == [("log.jsonl", "changed")]
    assert titles(loopback)[0] == "Shorter log" and not third.created


def test_a_private_repository_is_private_and_a_public_one_is_not_published_to_as_if(loopback, checkpoint):
    publish(checkpoint, REPOSITORY, private=True, endpoint=loopback.url)
    assert api(loopback).model_info(REPOSITORY).private
    assert publish(checkpoint, REPOSITORY, private=True, endpoint=loopback.url).status == "unchanged"

    api(loopback).update_repo_settings(REPOSITORY, private=False)
    with pytest.raises(PublishError, match=r"--private was given, but 'tester/reviews' exists and is public"):
        publish(checkpoint, REPOSITORY, private=True, endpoint=loopback.url)


def test_a_pull_request_is_proposed_once(loopback, checkpoint):
    publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    (checkpoint / "log.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
    report = publish(checkpoint, REPOSITORY, create_pr=True, endpoint=loopback.url, token="other")
    assert report.url == report.pull_request == f"{loopback.url}/{REPOSITORY}/discussions/1"
    assert titles(loopback) == ["Publish reviews with Quintet", "initial commit"]  # the main branch waits
    assert titles(loopback, revision="refs/pr/1")[0] == "Publish reviews with Quintet"

    again = publish(checkpoint, REPOSITORY, create_pr=True, endpoint=loopback.url, token="other")
    assert (again.status, again.pull_request) == ("unchanged", report.pull_request)
    assert [found.num for found in api(loopback).get_repo_discussions(REPOSITORY)] == [1]


def test_a_branch_is_made_and_the_main_one_stays(loopback, checkpoint):
    with pytest.raises(PublishError, match="publish it without --revision first"):
        publish(checkpoint, REPOSITORY, revision="v2", endpoint=loopback.url)
    first = publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    (checkpoint / "log.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
    report = publish(checkpoint, REPOSITORY, revision="v2", endpoint=loopback.url)
    assert report.url == f"{loopback.url}/{REPOSITORY}/tree/v2"
    assert api(loopback).model_info(REPOSITORY).sha == first.commit
    assert api(loopback).model_info(REPOSITORY, revision="v2").sha == report.commit
    assert publish(checkpoint, REPOSITORY, revision="v2", endpoint=loopback.url).status == "unchanged"

    api(loopback).create_tag(REPOSITORY, tag="v1.0")
    with pytest.raises(UsageError, match=r"--revision v1\.0 is a tag"):
        publish(checkpoint, REPOSITORY, revision="v1.0", endpoint=loopback.url)


def test_what_is_loaded_by_name_answers_as_the_folder_does(loopback, checkpoint, transport, tmp_path):
    """By Quintet, at a revision, offline from the cache, and by plain transformers with Quintet out of reach."""
    report = publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    text = "The soup was great on visit 3."
    expected = quintet.pipeline(model=checkpoint, device="cpu")(text, top_k=None)
    environment = {
        **os.environ,
        "HF_ENDPOINT": loopback.url,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": str(int(transport == "lfs")),
    }
    code = "import json, sys\n{start}\nprint(json.dumps(pipe({text!r}, top_k=None)))"
    ours = "from quintet import pipeline\npipe = pipeline(model={model!r})"
    theirs = (
        "sys.modules['quintet'] = None\nfrom transformers import pipeline\n"
        "pipe = pipeline('text-classification', model={model!r}, trust_remote_code=True)"
    )
    offline = {"HF_HUB_OFFLINE": "1"}
    for start, more in (
        (ours.format(model=REPOSITORY), {}),
        (ours.format(model=f"{REPOSITORY}@{report.commit}"), {}),
        (ours.format(model=REPOSITORY), offline),
        (theirs.format(model=REPOSITORY), {}),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code.format(start=start, text=text)],
            capture_output=True,
            text=True,
            env=environment | more,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found = json.loads(done.stdout.splitlines()[-1])
        found = found[0] if isinstance(found[0], list) else found
        assert [each["label"] for each in found] == [each["label"] for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert abs(one["score"] - other["score"]) < 1e-5


# ------------------------------------------------------------------------------------ what is not published


@only_lfs
def test_a_dry_run_changes_nothing_here_or_there(loopback, checkpoint):
    (checkpoint / "README.md").unlink()
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    report = publish(checkpoint, REPOSITORY, dry_run=True, endpoint=loopback.url)
    assert (report.status, report.created, report.commit) == ("planned", True, None)
    assert "README.md" in {file.path for file in report.plan.changes}
    assert writes(loopback) == []
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()} == before


def test_a_dry_run_without_network_plans_all_the_same(checkpoint, short_waits):
    report = publish(checkpoint, REPOSITORY, dry_run=True, endpoint="http://127.0.0.1:9", token="any")
    assert report.status == "planned" and not report.plan.is_compared
    assert any("cannot be reached" in notice for notice in report.notices)


@only_lfs
def test_states_of_a_training_stay_here(loopback, checkpoint):
    (checkpoint / "state/step-1").mkdir(parents=True)
    (checkpoint / "state/step-1/position.json").write_text("{}", encoding="utf-8")
    (checkpoint / "tracking").mkdir()
    (checkpoint / "tracking/events.out.tfevents.1").write_bytes(b"x")
    (checkpoint / "optimizer.pt").write_bytes(b"x")
    (checkpoint / "rejected.jsonl").write_text('{"text": "mine"}\n', encoding="utf-8")
    (checkpoint / ".cache").mkdir()
    (checkpoint / ".cache/x").write_bytes(b"x")
    report = publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    assert set(report.plan.left_out) == {"state/", "tracking/", "optimizer.pt", "rejected.jsonl", ".cache/"}
    assert not {"state", "tracking", ".cache"} & {
        path.split("/")[0] for path in api(loopback).list_repo_files(REPOSITORY)
    }


@only_lfs
def test_weights_of_an_earlier_publication_go_and_other_files_stay(loopback, checkpoint):
    publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    for name in ("model-00001-of-00002.safetensors", "model.safetensors.index.json", "notes.txt"):
        api(loopback).upload_file(path_or_fileobj=b"old", path_in_repo=name, repo_id=REPOSITORY)
    report = publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    assert [(file.path, file.change) for file in report.plan.changes] == [
        ("model-00001-of-00002.safetensors", "deleted"),
        ("model.safetensors.index.json", "deleted"),
    ]
    assert report.plan.kept == ("notes.txt",)
    assert "notes.txt" in api(loopback).list_repo_files(REPOSITORY)


# --------------------------------------------------------------------------------------------------- cards


@only_lfs
def test_the_card_is_written_for_the_repository_that_it_goes_to(loopback, checkpoint):
    publish(checkpoint, "org/other-name", license="mit", endpoint=loopback.url)
    text = (checkpoint / "README.md").read_text(encoding="utf-8")
    assert 'model="org/other-name"' in text and "license: mit" in text
    facts = read_facts(checkpoint)
    assert (facts.repository, facts.licence) == ("org/other-name", "mit")
    assert api(loopback).model_info("org/other-name").card_data.license == "mit"


@only_lfs
def test_a_readme_by_hand_is_kept_and_its_licence_is_its_own(loopback, checkpoint):
    text = "---\nlicense: mit\n---\n\n# Mine\n\nWritten by hand.\n"
    (checkpoint / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(
        PublishError, match=r"--license apache-2.0 was given, but README.md was written by hand and says mit"
    ):
        publish(checkpoint, REPOSITORY, license="apache-2.0", endpoint=loopback.url)
    publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    assert (checkpoint / "README.md").read_text(encoding="utf-8") == text


@only_lfs
def test_a_checkpoint_of_others_without_facts_is_published_with_what_is_known(loopback, checkpoint):
    for name in ("run.json", "README.md", "log.jsonl", "settings.toml"):
        (checkpoint / name).unlink()
    publish(checkpoint, REPOSITORY, license="mit", endpoint=loopback.url)
    text = (checkpoint / "README.md").read_text(encoding="utf-8")
    assert "Not recorded:" in text
    assert "run.json" in api(loopback).list_repo_files(REPOSITORY)


# ------------------------------------------------------------------------------------------- large weights


@only_lfs
def test_weights_larger_than_a_file_may_be_are_split_as_transformers_does(loopback, bert, monkeypatch):
    monkeypatch.setattr(sharding, "SHARD_BYTES", 8_000)
    expected = quintet.pipeline("sentiment", bert, device="cpu")("a good film", top_k=None)
    planned = publish(bert, REPOSITORY, dry_run=True, endpoint=loopback.url)
    assert (bert / "model.safetensors").exists()

    report = publish(bert, REPOSITORY, endpoint=loopback.url)
    names = sorted(path.name for path in bert.glob("model*"))
    assert len(names) >= 3 and names[-1] == "model.safetensors.index.json"
    assert names[0] == f"model-00001-of-{len(names) - 1:05d}.safetensors"
    sizes = {file.path: file.size for file in report.plan.files if file.path.startswith("model-")}
    assert sizes == {file.path: file.size for file in planned.plan.files if file.path.startswith("model-")}
    assert any("was split in the folder into" in notice for notice in report.notices)
    assert quintet.pipeline("sentiment", bert, device="cpu")("a good film", top_k=None) == expected
    assert publish(bert, REPOSITORY, endpoint=loopback.url).status == "unchanged"


@only_lfs
def test_own_families_are_read_from_one_file_and_so_not_split(loopback, checkpoint, monkeypatch):
    monkeypatch.setattr(sharding, "SHARD_BYTES", 600)
    with pytest.raises(PublishError, match="models of the family quintet-textcnn are read from one file"):
        publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    assert (checkpoint / "model.safetensors").exists()


def test_the_facts_of_split_weights_speak_of_the_parts(checkpoint):
    shards = sharding.plan_shards(checkpoint / "model.safetensors", 600)
    sharding.split_weights(checkpoint, shards)
    facts = read_facts(checkpoint)
    assert facts.weights_sha256 is None and facts.weights_bytes == sum(shard.size for shard in shards)
    assert {evaluation.weights_sha256 for evaluation in facts.evaluations} == {None}
    assert {shard.name for shard in shards} <= set(facts.files_sha256)
    assert "model.safetensors" not in facts.files_sha256


def test_parts_are_grouped_as_huggingface_hub_groups_them(checkpoint, tmp_path):
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors import safe_open
    from safetensors.torch import load_file

    state = load_file(checkpoint / "model.safetensors")
    with safe_open(checkpoint / "model.safetensors", "pt") as file:
        state = {name: state[name] for name in file.offset_keys()}
    theirs = split_torch_state_dict_into_shards(state, max_shard_size=600)
    ours = sharding.plan_shards(checkpoint / "model.safetensors", 600)
    assert {shard.name: list(shard.tensors) for shard in ours} == theirs.filename_to_tensors
    index = json.loads(sharding.index_bytes(ours))
    assert index["weight_map"] == theirs.tensor_to_filename
    assert index["metadata"]["total_size"] == theirs.metadata["total_size"]


@only_lfs
def test_thirty_gigabytes_are_planned_without_reading_them(loopback, bert, monkeypatch):
    header = {"weight": {"dtype": "F32", "shape": [7_500_000_000], "data_offsets": [0, 30_000_000_000]}}
    text = json.dumps(header).encode()
    with (bert / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + 30_000_000_000)  # a hole: it takes no room
    monkeypatch.setattr("quintet.cards.preflight._free_memory", lambda: 10_000_000_000)
    report = publish(bert, REPOSITORY, dry_run=True, endpoint=loopback.url)
    assert report.plan.upload_bytes > 30_000_000_000
    assert any("do not fit into this machine's free memory (10.0 GB)" in notice for notice in report.notices)


# -------------------------------------------------------------------------------------------------- data sets


def test_a_data_set_is_published_with_its_card_and_loads_by_name(loopback, tmp_path, transport):
    folder = tmp_path / "visits"
    folder.mkdir()
    for name, rows in (("train", 30), ("test", 10)):
        lines = [
            f"{name} visit {row} was {('great', 'awful')[row % 2]},{('good', 'bad')[row % 2]}" for row in range(rows)
        ]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    report = publish(folder, "tester/visits", dataset=True, license="cc-by-4.0", endpoint=loopback.url)
    assert report.url == f"{loopback.url}/datasets/tester/visits"
    assert {file.path for file in report.plan.files} == {"README.md", "train.csv", "test.csv"}
    assert sorted(path.name for path in folder.iterdir()) == ["test.csv", "train.csv"]
    card = api(loopback).dataset_info("tester/visits").card_data
    assert (card.license, card.size_categories) == ("cc-by-4.0", ["n<1K"])
    code = (
        "from datasets import load_dataset\nd = load_dataset('tester/visits')\n"
        "print(sorted((name, len(rows)) for name, rows in d.items()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "HF_ENDPOINT": loopback.url,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_XET": str(int(transport == "lfs")),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "[('test', 10), ('train', 30)]"
    assert (
        publish(folder, "tester/visits", dataset=True, license="cc-by-4.0", endpoint=loopback.url).status == "unchanged"
    )


@only_lfs
def test_a_data_set_needs_a_licence_and_holds_data_only(loopback, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/train.csv").write_text("text,label\na film,good\na meal,bad\n", encoding="utf-8")
    (tmp_path / "d/model.bin").write_bytes(b"x")
    with pytest.raises(PublishError, match=r"2 things to correct:\n  1. model.bin is no data file.*\n  2. no licence"):
        publish(tmp_path / "d", "tester/visits", dataset=True, endpoint=loopback.url)


# ---------------------------------------------------------------------------------------------- who may what


@only_lfs
@pytest.mark.parametrize(
    ("token", "repository", "sentence"),
    [
        ("wrong", REPOSITORY, "does not accept the token"),
        ("read", REPOSITORY, "the token of 'tester' may only read; make one with write access"),
        ("other", REPOSITORY, r"'other' has no right to write to 'tester' \(may write to: other\)"),
        ("write", "strangers/reviews", r"'tester' has no right to write to 'strangers' \(may write to: tester, org\)"),
    ],
)
def test_a_token_that_does_not_suffice_is_told_before_anything_is_sent(
    loopback, checkpoint, token, repository, sentence
):
    with pytest.raises(PublishError, match=sentence):
        publish(checkpoint, repository, token=token, endpoint=loopback.url)
    assert writes(loopback) == []


@only_lfs
def test_no_token_is_told_before_anything_is_read(loopback, checkpoint, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("quintet.cards.hub_client.get_token", lambda: None)
    with pytest.raises(
        PublishError, match=r"no token was found for the Hub .* log in with `hf auth login` or set HF_TOKEN"
    ):
        publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    assert loopback.requests == []


def test_a_fine_grained_token_says_what_it_may_write_to():
    from quintet.cards.hub_records import read_account

    scope = {"entity": {"type": "org", "name": "org"}, "permissions": ["repo.content.read", "repo.write"]}
    answer = {
        "name": "ann",
        "orgs": [{"name": "org", "roleInOrg": "write"}, {"name": "readers", "roleInOrg": "read"}],
        "auth": {"accessToken": {"role": "fineGrained", "fineGrained": {"scoped": [scope]}}},
    }
    account = read_account(answer)
    assert account.refusal("org/x", create_pr=False) is None
    assert "this token may write to org, but not to 'ann/x'" in str(account.refusal("ann/x", create_pr=False))
    assert "may only read in the organisation 'readers'" in str(account.refusal("readers/x", create_pr=False))
    assert account.refusal("readers/x", create_pr=True) is None


def test_a_network_that_is_down_is_told_in_one_sentence(checkpoint, short_waits):
    with pytest.raises(
        HubError,
        match=r"cannot check the token: the Hub \(http://127\.0\.0\.1:9\) cannot be reached .* Nothing was changed\.",
    ):
        publish(checkpoint, REPOSITORY, endpoint="http://127.0.0.1:9", token="any")


@only_lfs
def test_a_wrong_clock_is_named_where_the_hub_refuses(loopback, checkpoint, monkeypatch):
    import datetime

    late = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    monkeypatch.setattr("quintet.cards.hub_errors.local_time", lambda: late)
    loopback.add_fault(
        path="/storage/", method="PUT", action="status", status=403, body='{"error": "RequestTimeTooSkewed"}'
    )
    with pytest.raises(
        HubError, match="This machine's clock is 60 minutes ahead of the Hub's, which can be the reason"
    ):
        publish(checkpoint, REPOSITORY, endpoint=loopback.url)


# ---------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tester/my reviews", "for instance tester/my-reviews"),
        ("reviews", "has no owner; give owner/name, such as me/reviews"),
        ("https://huggingface.co/tester/reviews", "is a URL; give the id in it: tester/reviews"),
        ("a/b/c", "is no name that the Hub takes"),
        ("tester/re--views", "for instance tester/re-views"),
        ("", "is no name that the Hub takes"),
        ("tester/" + "x" * 100, "at most 96 characters"),
    ],
)
def test_a_name_that_the_hub_does_not_take_is_told_with_one_that_it_takes(tmp_path, name, sentence):
    with pytest.raises(UsageError, match=sentence):
        publish(tmp_path, name)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"create_pr": True, "revision": "v2"}, "leave one of them out"),
        ({"revision": "0123456789abcdef"}, "is no name of a branch"),
        ({"message": " "}, "--message is empty"),
        ({"columns": {"text": "review"}}, "--columns is for --dataset"),
    ],
)
def test_options_that_cannot_be_are_told(tmp_path, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        publish(tmp_path, REPOSITORY, **options)


@pytest.mark.parametrize(
    ("licence", "sentence"), [("apache", "did you mean apache-2.0"), ("other", "needs a name and a link")]
)
def test_a_licence_that_the_hub_does_not_have_is_told(checkpoint, licence, sentence):
    with pytest.raises(UsageError, match=sentence):
        publish(checkpoint, REPOSITORY, license=licence, token="any")


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="there is no folder 'absent'"):
        publish(tmp_path / "absent", REPOSITORY, token="any")


def test_a_checkpoint_that_comes_with_quintet_is_to_be_copied_first():
    embedded = Path(quintet.__file__).parent / "pipelines/embedded/sentiment-en"
    for given in ("sentiment-en", embedded):
        with pytest.raises(UsageError, match=r"'sentiment-en' comes with Quintet.*publish the copy"):
            publish(given, REPOSITORY, token="any")


# ------------------------------------------------------------------------------------------------ the command


@only_lfs
def test_the_command_prints_the_plan_and_the_url_last(loopback, checkpoint):
    environment = {**os.environ, "HF_ENDPOINT": loopback.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "write"}
    command = [sys.executable, "-m", "quintet", "publish", str(checkpoint), REPOSITORY]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "To a new repository 'tester/reviews'" in done.stderr
    assert done.stdout.splitlines()[-1] == f"{loopback.url}/{REPOSITORY}"
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, env=environment, check=False)
    document = json.loads(done.stdout)
    assert (document["status"], document["plan"]["bytes"]) == ("unchanged", 0)


def test_a_users_own_client_keeps_its_settings_and_every_request_gets_a_timeout():
    import httpx2
    from huggingface_hub import get_session, set_client_factory
    from huggingface_hub.utils import _http
    from quintet.cards.hub import Hub
    from quintet.cards.hub_client import TIMEOUTS

    seen = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.extensions["timeout"], request.headers["X-Proxy"]))
        return httpx2.Response(200)

    def own() -> httpx2.Client:
        transport = httpx2.MockTransport(answer)
        return httpx2.Client(timeout=None, headers={"X-Proxy": "yes"}, transport=transport)

    before = _http._GLOBAL_CLIENT_FACTORY
    set_client_factory(own)
    try:
        with Hub("http://127.0.0.1:9", "any").session():
            get_session().get("http://hub/")
            get_session().get("http://hub/", timeout=None)  # as listings do
            get_session().get("http://hub/", timeout=5)
        get_session().get("http://hub/")
        assert _http._GLOBAL_CLIENT_FACTORY is own
    finally:
        set_client_factory(before)
    five = dict.fromkeys(TIMEOUTS, 5)
    nothing = dict.fromkeys(TIMEOUTS)
    assert seen == [(TIMEOUTS, "yes"), (TIMEOUTS, "yes"), (five, "yes"), (nothing, "yes")]


@only_lfs
def test_a_file_that_changes_while_it_is_published_stops_it(loopback, checkpoint, monkeypatch):
    from quintet.cards.hub import Hub

    upload = Hub.upload

    def upload_and_write(self, *arguments, **options):
        upload(self, *arguments, **options)
        with (Path(checkpoint) / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write("{}\n")

    monkeypatch.setattr(Hub, "upload", upload_and_write)
    with pytest.raises(PublishError, match=r"log\.jsonl changed while it was being published.*removed again"):
        publish(checkpoint, REPOSITORY, endpoint=loopback.url)
    assert not api(loopback).repo_exists(REPOSITORY)


@only_lfs
def test_after_an_interruption_the_same_command_goes_on(loopback, checkpoint, monkeypatch):
    from quintet.cards.hub import Hub

    said = []

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Hub, "commit", interrupt)
        publish(checkpoint, REPOSITORY, endpoint=loopback.url, announce=said.append)
    assert said[-1].startswith("Interrupted: the same command again does nothing if the commit arrived, else the rest")
    sent = sum(request["method"] == "PUT" for request in loopback.requests)
    assert publish(checkpoint, REPOSITORY, endpoint=loopback.url).status == "published"
    assert sum(request["method"] == "PUT" for request in loopback.requests) == sent  # the contents were there already
    assert titles(loopback) == ["Publish reviews with Quintet", "initial commit"]
