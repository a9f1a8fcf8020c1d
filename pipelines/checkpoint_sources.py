"""Where a checkpoint lies: from what the user typed to a folder, and a sentence for each way the Hub can fail.

A name is looked up in this order: embedded checkpoint, local folder, Hub repository. The order never depends on
whether the network is up.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import QuintetError, UsageError, WeightsError, unknown_name
from .integrity import check_cached
from .models.families import FAMILIES

EMBEDDED_FOLDER = Path(__file__).parent / "embedded"
CONFIG_FILE = "config.json"

CONNECT_PAUSES = (1.0, 2.0)
"""Seconds before each new attempt to reach a Hub that does not answer; huggingface_hub's own pauses add up to 23."""

HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
HUB_PAGES = ("tree", "blob", "resolve", "commit", "discussions", "commits")
"""What follows a repository's id in the URLs of its pages; of the first four, a revision is next."""


@dataclass(frozen=True)
class Place:
    """Where a checkpoint lies.

    Attributes:
        name: its embedded name, the base name of its folder, or its Hub id; never a path.
        folder: the local folder; of a Hub repository the snapshot in the cache, which holds what was fetched so far.
        repository: its Hub id; None for a local folder.
        revision: the commit of the repository; None for a local folder.
    """

    name: str
    folder: Path
    repository: str | None = None
    revision: str | None = None

    def fetch(self, file: str) -> None:
        """Sees to it that a file of the repository is in ``folder``, if the repository has it, and as it is there.

        Raises:
            QuintetError: as ``fetch_file``.
        """
        if self.repository is None:
            return
        if (self.folder / file).is_file():
            check_cached(self.folder / file, self.repository, file)
        else:
            fetch_file(self.repository, file, revision=self.revision, is_optional=True)


def embedded_names() -> list[str]:
    """The names of the checkpoints that come with Quintet."""
    return sorted(path.parent.name for path in EMBEDDED_FOLDER.glob(f"*/{CONFIG_FILE}"))


def find_checkpoint(model: str | Path, *, revision: str | None = None) -> Place:
    """Where the checkpoint lies that the user means; of a Hub repository its ``config.json`` is fetched.

    Args:
        model: an embedded name, a folder, or a Hub id with or without ``@revision``.
        revision: branch, tag or commit of a Hub repository.

    Raises:
        UsageError: ``model`` is a family without weights, a file, a URL, or a folder that does not exist, or names
            another revision than ``revision``.
        UnknownNameError: nothing has that name.
        WeightsError: the Hub cannot be reached and the checkpoint is not in the cache, or it may not be read.
    """
    place = find_local(model)
    if place is not None:
        return place
    repository, wanted = named_revision(str(model), revision)
    config = fetch_file(repository, CONFIG_FILE, revision=wanted)
    if config is None:
        raise WeightsError(f"Hub repository '{repository}' has no {CONFIG_FILE}; it is no checkpoint of transformers.")
    return Place(repository, config.parent, repository, config.parent.name)


def named_revision(model: str, revision: str | None) -> tuple[str, str | None]:
    """The Hub id in ``me/name@revision``, and the revision in it, or the one beside it; None for the main branch.

    Raises:
        UsageError: there are two revisions, and they are not the same.
    """
    repository, _, named = model.partition("@")
    if named and revision is not None and named != revision:
        raise UsageError(
            f"model '{model}' names the revision '{named}', and --revision is '{revision}'; leave out one of them."
        )
    return repository, named or revision


def find_local(model: str | Path) -> Place | None:
    """The embedded checkpoint or the folder that the user means; None where it is the name of a Hub repository.

    Raises:
        UsageError: ``model`` is neither of these.
    """
    text = str(model)
    if not text:
        raise UsageError("model is empty; give an embedded name, a folder, or a Hub id, or leave it out.")
    if isinstance(model, str) and text in embedded_names():
        return Place(text, EMBEDDED_FOLDER / text)
    path = Path(text).expanduser()
    if path.is_dir():
        return Place(path.resolve().name, path)
    if path.is_file():
        raise UsageError(f"model '{path.name}' is a file; expected the checkpoint's folder, which holds it.")
    if text in {family.name for family in FAMILIES}:
        raise UsageError(
            f"model '{text}' is a family without trained weights; train it first: "
            f"quintet finetune sentiment --model {text} --dataset reviews.csv --output out/{text}"
        )
    if "://" in text or text.split("/")[0] in HUB_HOSTS:
        raise _url_given(text)
    if _is_path(text):
        raise UsageError(
            f"there is no folder '{path.name}' at the path given as model; expected a checkpoint folder, a Hub id such "
            f"as distilbert/distilbert-base-uncased-finetuned-sst-2-english{_or_embedded()}."
        )
    return None


def public_name(model: str) -> str:
    """How a checkpoint may be called in a card or an error: a Hub id as it is, of a path the base name only."""
    return Path(model).name if _is_path(model) or Path(model).exists() else model


def read_config(place: Place) -> dict[str, Any]:
    """The content of the checkpoint's ``config.json``.

    Raises:
        WeightsError: the folder has none, or it is not a JSON object.
    """
    path = place.folder / CONFIG_FILE
    if not path.is_file():
        found = ", ".join(sorted(file.name for file in place.folder.iterdir())[:8]) or "nothing"
        raise WeightsError(
            f"folder '{place.name}' has no {CONFIG_FILE} (found: {found}); expected a checkpoint folder, such as "
            "`quintet finetune` writes."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(
            f"{CONFIG_FILE} of checkpoint '{place.name}' is not JSON ({error}); fetch the checkpoint again."
        ) from error
    if not isinstance(config, Mapping):
        raise WeightsError(f"{CONFIG_FILE} of checkpoint '{place.name}' is no JSON object; fetch the checkpoint again.")
    return dict(config)


def fetch_file(repository: str, file: str, *, revision: str | None, is_optional: bool = False) -> Path | None:
    """The path in the cache of one file of a Hub repository, fetched if need be; None if the repository lacks it.

    Args:
        repository: Hub id.
        file: path inside the repository.
        revision: branch, tag or commit; None for the main branch.
        is_optional: whether a file that is neither in the cache nor reachable counts as one the repository lacks.

    Raises:
        QuintetError: as ``explain_hub_error``, and where the file is not what the Hub has.
    """
    import httpx2
    from huggingface_hub import errors

    try:
        _reach_hub(repository, file, revision)
        path = Path(_download(repository, file, revision))
    except errors.LocalEntryNotFoundError as error:
        if is_optional:
            return None
        raise explain_hub_error(error, repository, revision) from error
    except errors.RemoteEntryNotFoundError:
        return None
    except (errors.HFValidationError, httpx2.HTTPError, OSError, RuntimeError) as error:  # the last is hf_xet's
        raise explain_hub_error(error, repository, revision) from error
    check_cached(path, repository, file)
    return path


def _download(repository: str, file: str, revision: str | None) -> str:
    """The path in the cache of a file, fetched again where the connection broke.

    huggingface_hub repeats the question about a file, and goes on where a large one broke off, but does not repeat a
    download whose connection broke at its beginning.
    """
    import httpx2
    from huggingface_hub import hf_hub_download

    for pause in CONNECT_PAUSES:
        try:
            return hf_hub_download(repository, file, revision=revision)
        except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
            time.sleep(pause)
    return hf_hub_download(repository, file, revision=revision)


def _reach_hub(repository: str, file: str, revision: str | None) -> None:
    """Finds out within seconds that the Hub does not answer, where nothing in the cache could stand in for it.

    What is fetched once the Hub has answered keeps all the attempts of huggingface_hub.

    Raises:
        LocalEntryNotFoundError: no connection can be made.
    """
    import httpx2
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url, is_offline_mode, try_to_load_from_cache

    if is_offline_mode() or isinstance(try_to_load_from_cache(repository, file, revision=revision), str):
        return
    for pause in (*CONNECT_PAUSES, None):
        try:
            get_hf_file_metadata(hf_hub_url(repository, file, revision=revision))
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            if pause is None or isinstance(error, httpx2.ConnectTimeout):  # which took ten seconds by itself
                raise errors.LocalEntryNotFoundError(f"no connection to the Hub: {error}") from error
            time.sleep(pause)
        except (httpx2.HTTPError, errors.FileMetadataError):
            return  # something answered; the download meets the same, and knows what to try again
        else:
            return


def explain_hub_error(error: BaseException, repository: str, revision: str | None) -> QuintetError:
    """The error of ours for what huggingface_hub, or transformers on top of it, raised.

    Args:
        error: what was raised; its causes are looked at too.
        repository: Hub id.
        revision: what was asked for; None for the main branch.
    """
    from huggingface_hub import constants, errors

    chain = list(_causes(error))

    def happened(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in chain)

    if happened(errors.HFValidationError):
        return unknown_name("model", repository, _known_names(), hint="`quintet models` lists families to train.")
    if happened(errors.GatedRepoError):
        return WeightsError(
            f"Hub repository '{repository}' is gated; ask for access on its page, then log in with `hf auth login`."
        )
    if happened(errors.RepositoryNotFoundError):
        if "/" not in repository:
            return unknown_name(
                "model", repository, _known_names(), hint="Neither has the Hub a repository of that name."
            )
        return WeightsError(
            f"the Hub ({constants.ENDPOINT}) has no repository '{repository}', or it is private; check the name, or "
            "log in with `hf auth login`."
        )
    if happened(errors.RevisionNotFoundError):
        return WeightsError(
            f"Hub repository '{repository}' has no revision '{revision}'; expected a branch, a tag or a commit."
        )
    if happened(errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError):
        at = f" --revision {revision}" if revision else ""
        absent = f"checkpoint '{repository}' is not in the cache ({constants.HF_HUB_CACHE})"
        if constants.HF_HUB_OFFLINE:
            is_older_name = os.environ.get("TRANSFORMERS_OFFLINE") and not os.environ.get("HF_HUB_OFFLINE")
            switch = "TRANSFORMERS_OFFLINE" if is_older_name else "HF_HUB_OFFLINE"
            return WeightsError(
                f"{absent} and offline mode is switched on by {switch}, so it is not fetched; without "
                f"{switch} run `hf download {repository}{at}` once{_or_embedded(', or use ')}."
            )
        return WeightsError(
            f"{absent} and the Hub ({constants.ENDPOINT}) cannot be reached; with a network run "
            f"`hf download {repository}{at}` once{_or_embedded(', or use ')}."
        )
    return WeightsError(f"checkpoint '{repository}' cannot be fetched from the Hub ({constants.ENDPOINT}): {error}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def _url_given(url: str) -> UsageError:
    """The error for a URL in place of a checkpoint, with the Hub id in it where it is one of the Hub's pages."""
    from huggingface_hub import constants

    scheme, _, rest = url.rpartition("://")
    parts = urlsplit(f"//{rest}")
    # A URL may hold a password or a token, so only host and path are shown.
    shown = f"{scheme}{'://' if scheme else ''}{parts.netloc.rpartition('@')[2]}{parts.path}"
    names = [name for name in parts.path.split("/") if name]
    page = next((place for place, name in enumerate(names) if place and name in HUB_PAGES), len(names))
    is_hub = parts.hostname in (*HUB_HOSTS, urlsplit(constants.ENDPOINT).hostname)
    if is_hub and 1 <= page <= 2 and names[0] not in ("datasets", "spaces"):
        at = f"@{names[page + 1]}" if names[page + 1 :] and names[page] in HUB_PAGES[:4] else ""
        return UsageError(f"model '{shown}' is a URL; give the Hub id that is in it: {'/'.join(names[:page])}{at}.")
    return UsageError(
        f"model '{shown}' is a URL; a model is given as a checkpoint folder or as a Hub id such as "
        f"distilbert/distilbert-base-uncased-finetuned-sst-2-english{_or_embedded()}."
    )


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or "\\" in text or text.partition("@")[0].count("/") > 1  # @refs/pr/1


def _known_names() -> list[str]:
    return [*embedded_names(), *(family.name for family in FAMILIES)]


def _or_embedded(start: str = ", or ") -> str:
    by_task: dict[str, list[str]] = {}
    for name in embedded_names():
        task = read_config(Place(name, EMBEDDED_FOLDER / name)).get("task") or "text-classification"
        by_task.setdefault(str(task), []).append(name)
    listed = "; ".join(f"for {task}: {', '.join(names)}" for task, names in by_task.items())
    return f"{start}an embedded checkpoint ({listed})" if listed else ""
