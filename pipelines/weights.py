"""Weight files: tensors and nothing else come out, and each way in which a file can be wrong has its sentence.

Weights are safetensors. A pickle is read only where torch's ``weights_only=True`` accepts it, which runs no code.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from .errors import WeightsError

WEIGHTS_FILE = "model.safetensors"
WEIGHTS_INDEX_FILE = "model.safetensors.index.json"
PICKLE_FILES = ("pytorch_model.bin", "model.bin", "model.pt", "model.pth")
PICKLE_INDEX_FILE = "pytorch_model.bin.index.json"

MOST_KEYS = 5
"""Keys of a kind that an error lists."""

# What other things called model.safetensors begin with.
FOREIGN_BEGINNINGS = {
    b"version https://git-lfs": "a git-lfs pointer, not the file itself; run `git lfs pull`",
    b"<": "a web page; the download went wrong",
    b"PK\x03\x04": "a pickle written by torch.save; save it as safetensors",
    b"\x80": "a pickle; save the tensors as safetensors",
    b"\x1f\x8b": "a gzip archive; unpack it",
}


def read_weights(folder: Path, *, name: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint folder by their keys, on the CPU, in the number format of the file.

    Args:
        folder: holds ``model.safetensors``, or a pickle that torch reads with ``weights_only=True``.
        name: how errors call the checkpoint.

    Raises:
        WeightsError: there is no weight file, or it is cut off, of another format, or a pickle that would run code.
    """
    path = folder / WEIGHTS_FILE
    if path.is_file():
        check_weight_file(path, name=name)
        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsError(
                f"{path.name} of checkpoint '{name}' is broken ({error}); fetch or save the checkpoint again."
            ) from error
    for file in PICKLE_FILES:
        if (folder / file).is_file():
            return _read_pickle(folder / file, name=name)
    raise no_weights(folder, name=name)


def check_weight_files(folder: Path, *, name: str) -> None:
    """Nothing, if the folder holds weights and each safetensors file is whole; reads the headers only.

    Raises:
        WeightsError: as ``read_weights``; for weights in several files also one that is missing.
    """
    index = folder / WEIGHTS_INDEX_FILE
    if index.is_file() and not (folder / WEIGHTS_FILE).is_file():
        try:
            files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"{index.name} of checkpoint '{name}' is broken; fetch the checkpoint again.") from error
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            raise WeightsError(f"checkpoint '{name}' has no {', '.join(missing)}; fetch the checkpoint again.")
        for file in files:
            check_weight_file(folder / file, name=name)
    elif (folder / WEIGHTS_FILE).is_file():
        check_weight_file(folder / WEIGHTS_FILE, name=name)
    elif not any((folder / file).is_file() for file in (*PICKLE_FILES, PICKLE_INDEX_FILE)):
        raise no_weights(folder, name=name)


def check_weight_file(path: Path, *, name: str) -> None:
    """Nothing, if the file is safetensors and as long as its header says.

    Args:
        path: the file.
        name: how errors call the checkpoint.

    Raises:
        WeightsError: the file is cut off, has bytes too many, or is of another format.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(64)
        # Eight bytes with the header's length, then the header, which is JSON.
        if size < 9 or beginning[8:9] != b"{":
            raise WeightsError(f"{path.name} of checkpoint '{name}' is {_foreign(beginning, size)}.")
        (header_length,) = struct.unpack("<Q", beginning[:8])
        if header_length > size - 8:
            raise WeightsError(
                f"{path.name} of checkpoint '{name}' is cut off within its header: {size} bytes; fetch it again."
            )
        file.seek(8)
        header = file.read(header_length)
    try:
        entries = [entry for key, entry in json.loads(header).items() if key != "__metadata__"]
        expected = 8 + header_length + max((entry["data_offsets"][1] for entry in entries), default=0)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise WeightsError(
            f"{path.name} of checkpoint '{name}' has a broken header; fetch or save the checkpoint again."
        ) from error
    if size < expected:
        raise WeightsError(
            f"{path.name} of checkpoint '{name}' is cut off: {size} of {expected} bytes; fetch or save it again."
        )
    if size > expected:
        raise WeightsError(
            f"{path.name} of checkpoint '{name}' is {size} bytes long, its header says {expected}; fetch it again."
        )


def fit_weights(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], *, name: str) -> None:
    """Copies ``tensors`` into ``network``, converting to its number format, if every key and shape fits.

    Raises:
        WeightsError: keys are missing, unexpected or of another shape; the first of each kind are listed.
    """
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    given = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    misfit = describe_misfit(
        missing=[key for key in expected if key not in given],
        unexpected=[key for key in given if key not in expected],
        misshaped=[(key, given[key], shape) for key, shape in expected.items() if key in given and given[key] != shape],
    )
    if misfit:
        raise WeightsError(
            f"the weights of checkpoint '{name}' do not fit its config.json: {misfit}. "
            "Fetch or save the checkpoint again."
        )
    network.load_state_dict(dict(tensors))


def describe_misfit(
    *,
    missing: list[str],
    unexpected: list[str],
    misshaped: list[tuple[str, tuple[int, ...], tuple[int, ...]]],
) -> str:
    """What does not fit, of each kind the first `MOST_KEYS` and how many more; empty if everything does.

    Args:
        missing: keys that the network has and the weights do not.
        unexpected: keys that the weights have and the network does not.
        misshaped: key, shape given, shape expected.
    """
    shapes = [f"{key} is {given}, expected {expected}" for key, given, expected in sorted(misshaped)]
    kinds = {"missing": sorted(missing), "unexpected": sorted(unexpected), "wrong shape": shapes}
    return "; ".join(f"{kind} {_first(entries)}" for kind, entries in kinds.items() if entries)


def _first(entries: list[str]) -> str:
    more = len(entries) - MOST_KEYS
    return ", ".join(entries[:MOST_KEYS]) + (f" and {more} more" if more > 0 else "")


def no_weights(folder: Path, *, name: str) -> WeightsError:
    """The error for a folder without any weight file; it lists what is there."""
    found = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing"
    return WeightsError(
        f"checkpoint '{name}' has no {WEIGHTS_FILE} (found: {found}); fetch the checkpoint again, or train it."
    )


def refused_pickle(file: str, *, name: str) -> WeightsError:
    """The error for a pickle that holds more than tensors."""
    return WeightsError(
        f"{file} of checkpoint '{name}' is a pickle that holds more than tensors, and loading it could run any code; "
        f"expected {WEIGHTS_FILE}. Where you trust it, convert it with safetensors.torch.save_file."
    )


def _read_pickle(path: Path, *, name: str) -> dict[str, torch.Tensor]:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise refused_pickle(path.name, name=name) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(f"{path.name} of checkpoint '{name}' is broken ({error}); fetch it again.") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise WeightsError(
            f"{path.name} of checkpoint '{name}' is not a mapping of names to tensors; save it as {WEIGHTS_FILE}."
        )
    return tensors


def _foreign(beginning: bytes, size: int) -> str:
    if size == 0:
        return "empty; fetch or save the checkpoint again"
    for start, meaning in FOREIGN_BEGINNINGS.items():
        if beginning.lstrip().startswith(start):
            return f"not safetensors but {meaning}"
    return f"not safetensors ({size} bytes); fetch or save the checkpoint again"
