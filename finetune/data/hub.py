"""Data sets of the Hub and folders of `save_to_disk`, through datasets, with its errors turned into sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...pipelines.errors import DataError, UsageError

if TYPE_CHECKING:
    import datasets

_ID = re.compile(r"^(?P<id>[\w.\-]+(?:/[\w.\-]+)?)(?::(?P<config>[\w.\-]+))?(?:@(?P<revision>[\w.\-/]+))?$")


@dataclass(frozen=True)
class HubName:
    """A data set of the Hub: ``owner/name``, written ``owner/name:config@revision``."""

    id: str
    config: str | None = None
    revision: str | None = None


def parse_hub_name(text: str, config: str | None = None, revision: str | None = None) -> HubName | None:
    """What ``text`` names on the Hub; None where it cannot be a Hub id.

    >>> parse_hub_name("nyu-mll/glue:sst2@main")
    HubName(id='nyu-mll/glue', config='sst2', revision='main')

    Raises:
        UsageError: configuration or revision are given twice and differ.
    """
    match = _ID.match(text)
    if not match:
        return None
    for name, inside, beside in (("config", match["config"], config), ("revision", match["revision"], revision)):
        if inside and beside and inside != beside:
            raise UsageError(f"'{text}' names the {name} '{inside}', but {name} '{beside}' was given as well; give one")
    return HubName(match["id"], match["config"] or config, match["revision"] or revision)


def load_from_hub(name: HubName) -> datasets.DatasetDict:
    """All splits of a data set of the Hub (``HF_ENDPOINT`` and ``HF_TOKEN`` are honoured), or of datasets' cache.

    Raises:
        DataError: there is no such data set, revision or configuration, it may not be read, it holds no data, or the
            Hub cannot be reached and it is not cached.
    """
    import datasets.config
    import datasets.exceptions
    import huggingface_hub.errors

    try:
        loaded = datasets.load_dataset(name.id, name=name.config, revision=name.revision)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise DataError(f"{_not_found(name, error)}") from error
    except (datasets.exceptions.DatasetsError, ValueError) as error:
        if "onfig" in str(error):  # "Config name is missing", "BuilderConfig 'x' not found": both list what there is
            raise DataError(f"{name.id}: {_one_line(error)} Name the configuration, as in {name.id}:CONFIG") from error
        raise DataError(f"the data set '{name.id}' cannot be read: {_one_line(error)}") from error
    except (ConnectionError, huggingface_hub.errors.HfHubHTTPError) as error:
        raise DataError(
            f"the data set '{name.id}' is not in the cache ({datasets.config.HF_DATASETS_CACHE}) and the Hub cannot be "
            f"reached ({_one_line(error)}). Run `quintet data {name.id} --task sentiment` once with a network, or name "
            "a local file or folder"
        ) from error
    except OSError as error:
        raise DataError(f"the data set '{name.id}' cannot be read: {_one_line(error)}") from error
    assert_splits(loaded, name.id)
    return loaded  # type: ignore[return-value]


def load_from_folder(folder: Path) -> datasets.DatasetDict | datasets.Dataset:
    """What `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote.

    Raises:
        DataError: the folder is not whole.
    """
    import datasets
    import pyarrow

    try:
        return datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        raise DataError(
            f"folder '{folder.name}' looks like one of save_to_disk but cannot be read ({_one_line(error)}); "
            "save it again"
        ) from error


def is_saved_folder(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def resolved_revision(dataset: datasets.Dataset) -> str | None:
    """The commit that the files of a Hub data set were fetched from; None if it is not recorded.

    datasets names the folder of its cache after the commit, and notes checksums only where it is told to compute them.
    """
    checksums: Any = dataset.info.download_checksums or {}
    commits = {match[1] for path in checksums if (match := re.search(r"@([0-9a-f]{40})/", str(path)))}
    commits |= {
        folder.name
        for file in dataset.cache_files
        if re.fullmatch(r"[0-9a-f]{40}", (folder := Path(file["filename"]).parent).name)
    }
    return commits.pop() if len(commits) == 1 else None


def assert_splits(loaded: Any, name: str) -> None:
    """Checks that datasets gave a dictionary of splits on disk.

    Raises:
        DataError: it is something else, such as streaming data.
    """
    import datasets

    if isinstance(loaded, datasets.IterableDataset | datasets.IterableDatasetDict):
        raise DataError(f"{name} is streaming data, which has no length; load it without streaming=True")
    if not isinstance(loaded, datasets.DatasetDict) or not loaded:
        raise DataError(f"{name} holds no splits; expected a data set with at least one")


def _not_found(name: HubName, error: Exception) -> str:
    text = _one_line(error)
    if "gated" in text or "private" in text.lower():
        return f"the data set '{name.id}' may not be read: {text} Ask for access on its page, and set HF_TOKEN"
    if name.revision and "evision" in text:
        return f"the data set '{name.id}' has no revision '{name.revision}'; give a branch, tag or commit that it has"
    return (
        f"there is no data set '{name.id}' on the Hub, and no file or folder of that name here; check the spelling, "
        "and set HF_TOKEN if it is private"
    )


def _one_line(error: Exception) -> str:
    """The message of another library's error, with its line breaks taken out and its length bounded."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:299] + "…"
