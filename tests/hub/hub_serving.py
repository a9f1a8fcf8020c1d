"""The Hub on loopback as tests use it: running, filled by the real client, and the one that this process talks to."""

import contextlib

import pytest
from huggingface_hub import HfApi, constants
from loopback_hub import LoopbackHub

WRITER = {"t": {"user": "me", "role": "write"}}
"""The token of a user who may write to ``me/…``."""


@contextlib.contextmanager
def serving(folder, *, tokens=WRITER, xet=False):
    """A Hub that keeps its repositories in ``folder``; as long as it runs, large files travel over LFS, or over Xet."""
    with LoopbackHub(folder, tokens=tokens, xet=xet) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_DISABLE_XET", not xet)
        yield server


def upload(server, repository, folder, *, token="t"):
    """Puts the files of ``folder`` into a repository, made if there is none; the commit."""
    api = HfApi(endpoint=server.url, token=token)
    api.create_repo(repository, exist_ok=True)
    return api.upload_folder(repo_id=repository, folder_path=folder).oid


def point_at(server, cache, monkeypatch, *, xet=False):
    """Makes ``server`` the Hub that this process talks to, with the cache in ``cache``."""
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    path = constants.HUGGINGFACE_CO_URL_TEMPLATE.split("/", 3)[3]
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{server.url}/{path}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", not xet)
