"""Names of repositories and branches: what a Hub or git would refuse is told first, with a name that works."""

import re

import pytest
from quintet.cards.publish_target import Target, check_repository
from quintet.pipelines.errors import UsageError

BRANCHES = [
    "../x",
    "-x",
    "x.lock",
    "a..b",
    "/x",
    "x/",
    "a//b",
    "HEAD",
    "",
    ".x",
    "a/.b",
    "x.",
    "a b",
    "a~1",
    "refs/pr/1",
]


@pytest.mark.parametrize("branch", BRANCHES)
def test_what_git_takes_for_no_branch_is_refused(branch):
    with pytest.raises(
        UsageError, match=re.escape(f"--revision '{branch}' is no name of a branch; give one, such as v2.")
    ):
        Target("me/reviews", "model", False, False, branch, "Publish")


def test_a_whole_reference_is_told_by_its_short_name():
    with pytest.raises(
        UsageError, match=r"--revision 'refs/heads/x/y' is no name of a branch; give one, such as x/y\."
    ):
        Target("me/reviews", "model", False, False, "refs/heads/x/y", "Publish")
    for branch in ("v1.0", "main", "feature/x-1", "a.b", "HEADs"):
        assert Target("me/reviews", "model", False, False, branch, "Publish").branch == branch


def test_an_empty_revision_is_not_the_main_branch(tmp_path):
    from quintet.cards.publishing import publish

    with pytest.raises(UsageError, match="--revision '' is no name of a branch"):
        publish(tmp_path, "me/reviews", revision="")


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("me/a.git", "me/a"),
        ("me/.git", "me/git"),
        ("me/-a-", "me/a"),
        ("me/a--b..c", "me/a-b-c"),
        ("_me/_a", "me/a"),
        ("me/", "me/reviews"),
        ("/", "me/reviews"),
        ("me/Ä", "me/reviews"),
        ("a b", "me/a-b"),
        ("me/" + "x" * 92 + "--yyy", "me/" + "x" * 92),
    ],
)
def test_the_name_that_is_offered_is_taken(name, better):
    with pytest.raises(UsageError, match=rf"(for instance|such as) {re.escape(better)}\.$"):
        check_repository(name)
    check_repository(better)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("https://huggingface.co/", "is a URL without an id; give owner/name, such as me/reviews."),
        ("https://huggingface.co/me", "is a URL without an id; give owner/name, such as me/reviews."),
        ("https://huggingface.co/me/x/tree/main", "is a URL; give the id in it: me/x."),
        ("https://huggingface.co/datasets/me/x?a=b", "is a URL; give the id in it: me/x."),
    ],
)
def test_the_id_in_a_url_is_told_where_there_is_one(url, sentence):
    with pytest.raises(UsageError, match=re.escape(sentence)):
        check_repository(url)
