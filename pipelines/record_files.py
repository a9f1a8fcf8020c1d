"""Which files a path, folder, glob or URL stands for, and in what format each of them is.

Nothing is read here but folder listings. A folder may hold data files (``train.csv``, ``dev.tsv``, ``data/*.parquet``),
folders named after splits, or folders named after classes with one text in each file.
"""

from __future__ import annotations

import difflib
import glob
import gzip
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from .box_layouts import box_layouts
from .errors import DataError
from .parallel_texts import group_parallel, language_of
from .picture_layouts import (
    LAYOUTS,
    MASKS,
    PICTURE_ENDINGS,
    STRAY,
    VIDEO,
    VIDEO_ENDINGS,
    caption_lists,
    file_layout,
    is_stray,
    layout_files,
    layout_name,
    mask_layouts,
)

FORMATS = ("csv", "tsv", "json", "jsonl", "parquet", "arrow", "txt", "conll", "conllu")
"""The formats that are read; each but parquet and arrow also gzipped, with a second ending ``.gz``."""

IMAGE = "image"
"""The format of a file that is one picture, a row of its own."""

PARALLEL = "parallel"
"""The format of several files whose lines belong together, see ``parallel_texts.py``."""

TEXT_UNITS = ("lines", "documents", "blocks")
"""What a row of a txt file can be: each line that is not blank; each text between blank lines, with its line breaks; or
a piece of some thousand characters of the one long text that the file is, of which nothing is left out."""

_ENDINGS = (
    {f".{name}": name for name in FORMATS}
    | {
        ".ndjson": "jsonl",
        ".tab": "tsv",
        ".feather": "arrow",
        ".bio": "conll",
        ".iob": "conll",
        ".iob2": "conll",
        ".bioes": "conll",
    }
    | dict.fromkeys(PICTURE_ENDINGS, IMAGE)
    | dict.fromkeys(VIDEO_ENDINGS, VIDEO)
)

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}

# Bookkeeping that datasets and Hub repositories keep beside their rows.
_NOT_DATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json", "run.json"}


@dataclass(frozen=True)
class DataFile:
    """One file with rows.

    Attributes:
        path: local path or URL.
        format: one of `FORMATS`.
        split: ``train``, ``validation`` or ``test`` where its name or folder says so.
        label: name of its class folder, where the file is one text or picture of a folder of class folders.
        text_unit: what a row of a txt file is, one of `TEXT_UNITS`.
        parallel: of the format `PARALLEL` the files that belong together, (language, path) each; ``path`` is the first.
    """

    path: str
    format: str
    split: str | None = None
    label: str | None = None
    text_unit: str = "lines"
    parallel: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Its base name, without any directory; of files that belong together all of them."""
        if self.format == MASKS:
            return layout_name(Path(self.path))
        return ",".join(base_name(path) for _, path in self.parallel) or base_name(self.path)

    @property
    def paths(self) -> list[str]:
        """Every file that its rows come from."""
        if self.parallel:
            return [path for _, path in self.parallel]
        if self.format in (*LAYOUTS, STRAY):
            return [str(path) for path in layout_files(Path(self.path), self.format)]
        return [self.path]

    @property
    def parts(self) -> dict[str, DataFile]:
        """The files that belong together, by their languages."""
        return {language: DataFile(path, "txt") for language, path in self.parallel}

    def open(self) -> BinaryIO:
        """Its bytes, unzipped if it is gzipped.

        Raises:
            DataError: it cannot be opened, or the URL cannot be reached.
        """
        gzipped = self.path.endswith(".gz")
        try:
            if is_url(self.path):
                import fsspec

                remote = cast(Any, fsspec.open(self.path, "rb", compression="gzip" if gzipped else None))
                return cast(BinaryIO, remote.open())
            return cast(BinaryIO, gzip.open(self.path, "rb") if gzipped else open(self.path, "rb"))
        except (OSError, ImportError, ValueError) as error:  # fsspec: unknown protocol, missing package, no network
            raise DataError(f"{self.path} cannot be read ({error}); check that it exists and may be read") from error


def base_name(path: str | Path) -> str:
    """The last part of a path or URL."""
    return PurePosixPath(str(path).split("?")[0].replace("\\", "/")).name


def given_name(given: str | Path) -> str:
    """What a file, folder, glob, URL, or several with commas between, is recorded as: base names, never a path.

    >>> given_name("data/train.csv, ../data/test.csv"), given_name("https://host/reviews.csv?token=1")
    ('train.csv,test.csv', 'reviews.csv')
    """
    text = str(given)
    parts = [text] if Path(text).expanduser().exists() else [part.strip() for part in text.split(",")]
    # The name of "." is that of the folder it stands for.
    return ",".join(base_name(part if is_url(part) else os.path.abspath(os.path.expanduser(part))) for part in parts)


def is_url(source: str | Path) -> bool:
    """Whether ``source`` is a URL, such as ``https://…`` or ``s3://…``."""
    return "://" in str(source)


def file_format(path: str | Path) -> str | None:
    """The format that the ending of ``path`` stands for, one of `FORMATS`; None where it stands for none."""
    name = base_name(path).lower().removesuffix(".gz")
    return _ENDINGS.get(PurePosixPath(name).suffix)


def split_of(name: str) -> str | None:
    """``train``, ``validation`` or ``test`` where the words of a file or folder name hold exactly one of these.

    >>> split_of("sst2_train.csv"), split_of("dev.tsv"), split_of("train-00000-of-00002.parquet")
    ('train', 'validation', 'train')
    >>> split_of("reviews.csv") is split_of("train_test.csv") is None
    True
    """
    words = re.split(r"[-_. ]+", name.lower())
    splits = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def find_files(source: str | Path) -> list[DataFile]:
    """The files that ``source`` stands for, sorted by path.

    Args:
        source: a file, a folder, a glob such as ``parts/*.csv``, or a URL.

    Raises:
        DataError: there is no such file or folder (with near names), nothing matches the glob, the ending of the file
            stands for no format, or the folder holds no data.
    """
    text = str(source)
    if is_url(text):
        return [DataFile(text, _require_format(text))]
    path = Path(text).expanduser()
    if path.is_dir():
        return _files_of_folder(path)
    if path.exists():
        format, split = file_layout(path) or (None, None)
        return [DataFile(str(path), format or _require_format(text), split)]
    if glob.has_magic(text):
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        files = _data_files(name for name in found if name.is_file())
        if not files:
            raise DataError(f"no data file matches '{text}'; expected files ending in {', '.join(FORMATS)}")
        return files
    raise DataError(f"there is no file or folder '{text}'; {_near(path)}")


def find_parallel(paths: Iterable[str | Path]) -> list[DataFile]:
    """Files whose lines belong together, each group as one; of the others none."""
    groups = group_parallel(map(str, paths))
    return [
        DataFile(files[0], PARALLEL, split_of(base_name(files[0])), parallel=tuple(group.items()))
        for group in groups
        for files in [list(group.values())]
    ]


def _check_sides(paths: Sequence[str], parallel: Sequence[DataFile]) -> None:
    """Whether each file named after a split and a language stands beside one in another language."""
    paired = {path for file in parallel for _, path in file.parallel}
    for path in paths:
        if path not in paired and language_of(path) and split_of(base_name(path)):
            raise DataError(no_other_side(path))


def no_other_side(path: str) -> str:
    """What is wrong with a text in one language that has none in another language beside it."""
    ending = language_of(path)
    other = "en" if ending == "de" else "de"
    return (
        f"{base_name(path)} is a text in one language ({ending}) without its other side; give a file of the "
        f"same name with the ending of the other language beside it, such as train.{ending},train.{other}"
    )


def _require_format(path: str) -> str:
    found = file_format(path) or ("txt" if language_of(path) else None)
    if found is None:
        raise DataError(f"'{base_name(path)}' has no ending that stands for a format; expected {_listed(FORMATS)}")
    return found


def _near(path: Path) -> str:
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        path, folder = folder, folder.parent
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    where = "the current folder" if folder == Path() else f"folder '{folder.name}'"
    return f"{where} holds {', '.join(names[:8]) or 'nothing'}{', …' if len(names) > 8 else ''}"


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


def _data_files(paths: Iterable[Path], split: str | None = None) -> list[DataFile]:
    """The data files among ``paths``: tables, where there are none pictures, where there are none texts.

    A README.txt beside a table is no data, and a picture beside a table is what a row of it names.
    """
    layouts, files = [], []
    for path in paths:
        if path.name in _NOT_DATA or path.name.startswith("."):
            continue
        if layout := file_layout(path):
            layouts.append(DataFile(str(path), layout[0], split or layout[1] or split_of(path.name)))
        elif found := file_format(path):
            files.append(DataFile(str(path), found, split or split_of(path.name)))
    tables = [file for file in files if file.format not in ("txt", IMAGE, VIDEO)]
    pictures = next((same for kind in (IMAGE, VIDEO) if (same := [f for f in files if f.format == kind])), [])
    return layouts or tables or pictures or files


def _files_of_folder(folder: Path) -> list[DataFile]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = _files_inside(entries)
    _check_class_folders(files)
    if not files:
        found = ", ".join(entry.name for entry in entries[:8]) or "nothing"
        raise DataError(
            f"folder '{folder.name}' holds no data (found: {found}{', …' if len(entries) > 8 else ''}); expected files "
            f"ending in {_listed(FORMATS)}, pictures, or one folder a class with pictures or .txt files in it"
        )
    return files


def _files_inside(entries: list[Path], split: str | None = None) -> list[DataFile]:
    if entries and (boxed := box_layouts(entries[0].parent)):
        return [DataFile(str(path), format, split or split_of(words)) for path, format, words in boxed]
    if masked := mask_layouts(entries):
        return [DataFile(str(folder), MASKS, split or split_of(name or "")) for folder, name in masked]
    own = _data_files((entry for entry in entries if entry.is_file()), split)
    if any(file.format in LAYOUTS for file in own):
        return own
    folders = [entry for entry in entries if entry.is_dir()]
    contents = {entry: sorted(entry.iterdir()) for entry in folders}
    by_split = [
        file
        for entry in folders
        if (inner := split_of(entry.name)) and not split
        for file in _files_inside(contents[entry], inner)
    ]
    if by_split:
        return by_split
    of_classes = [
        DataFile(str(path), found, split, entry.name)
        for entry in folders
        for path in contents[entry]
        if (found := file_format(path)) in ("txt", IMAGE, VIDEO) and path.is_file() and not path.name.startswith(".")
    ]
    kind = next((kind for kind in (IMAGE, VIDEO) if any(file.format == kind for file in of_classes)), "txt")
    of_classes = [file for file in of_classes if file.format == kind]
    if len(classes := {file.label for file in of_classes}) > 1:
        return of_classes + [
            DataFile(str(path), STRAY, split, entry.name)
            for entry in folders
            for path in contents[entry]
            if kind != "txt" and entry.name in classes and is_stray(path, kind)
        ]
    tables, files = own, [entry for entry in entries if entry.is_file()]
    parallel = [replace(file, split=split or file.split) for file in find_parallel(files)]
    if all(file.format == "txt" for file in tables):
        _check_sides([str(path) for path in files], parallel)
    if tables or parallel:
        return [file for file in tables if file.format != "txt"] or parallel or tables
    if listed := caption_lists(entries):
        return [file for path in listed for file in _data_files([path], split)]
    # The layout of a cloned Hub repository keeps its files in data/.
    return next((_files_inside(contents[entry]) for entry in folders if entry.name == "data"), [])


def _check_class_folders(files: Iterable[DataFile]) -> None:
    """Nothing, if the names of class folders differ by more than case, which some systems do not keep apart."""
    names: dict[str, str] = {}
    for file in files:
        if file.label is not None and (other := names.setdefault(file.label.casefold(), file.label)) != file.label:
            raise DataError(
                f"the class folders '{other}' and '{file.label}' differ only by capital letters; expected one folder "
                "for each class. Move the files of one into the other, or give it another name"
            )
