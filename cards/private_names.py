"""Private names in what is about to be published: local paths, users, hosts and tokens.

What a person or a program wrote may have none of these. Words of data are another matter: a vocabulary knows the word
that is also the name of a user, and a review may speak of ``/etc``. There only what cannot be a word counts: a token by
its form, and a path that leads to somebody's home or to something on this machine.
"""

from __future__ import annotations

import functools
import json
import mmap
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from .content import Content
from .facts import FILE_NAME as FACTS_FILE
from .facts import FactsError, read_facts

LARGEST_TEXT = 20_000_000
"""Bytes; larger text files than these are vocabularies, of which only the bytes are looked at."""

VOCABULARIES = frozenset({"vocab.txt", "vocab.json", "merges.txt", "added_tokens.json"})
WORD_KEYS = frozenset({"vocab", "merges", "token_to_id", "added_tokens"})
"""Keys in the files of a tokenizer under which all is words of data."""
TEXT_KEYS = frozenset({"text", "text_pair", "content", "inputs"})
"""Keys in the files of a tokenizer, the facts and the evaluations under which texts of data are quoted."""

BINARIES = frozenset({".png", ".jpg", ".jpeg", ".npz", ".model", ".spm", ".bpe", ".tiktoken", ".parquet", ".arrow"})

_PICTURE = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+")  # letters and slashes, which are no paths
_TOKENIZER_FILE = re.compile(r"tokenizer.*\.json|special_tokens_map\.json")
_INTERPRETER = re.compile(r"#!\s*/(?:usr/(?:local/)?)?s?bin/[\w.+-]+(?![\w./+-])")
"""The beginning of a script, where it says nothing about the machine."""

# By their whole form, since data may hold a name such as hf_hub_download_of_something.
TOKEN_FORMS = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:hf|api_org)_[A-Za-z0-9]{20,}|gh[a-z]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}"
    r"|sk-(?:[a-z]{3,8}-)*(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{32,}|xox[abp]-\d[\w-]{16,}|AKIA[A-Z0-9]{16}(?![A-Z0-9]))"
)
_TOKEN_BYTES = re.compile(TOKEN_FORMS.pattern.encode())
_TOKEN_STARTS = ("hf_", "api_org_", "gh", "glpat-", "sk-", "xox", "AKIA")
"""One of these is in whatever `TOKEN_FORMS` finds; looking for them first is twenty times as fast."""

# Both begin with a plain character, by which they are found quickly; what must not stand before it is looked at after.
_HOME = re.compile(
    r"(?:/(?:(?<![\w./]/)|(?<=file:///))(?:home|Users)/|:(?<=\b[A-Za-z]:)[\\/]+Users[\\/]+)(?P<user>\w[\w.-]*)[\\/]+\w"
)
_PATH = re.compile(r"/(?:(?<![\w./~<]/)|(?<=file:///))[\w.+@-]+(?:/[\w.+@-]+)+")
_SYSTEM = frozenset({"bin", "boot", "dev", "etc", "lib", "lib64", "opt", "proc", "run", "sbin", "sys", "usr", "var"})
"""First folders that many machines have alike."""

_PRIVATE = {"<token>": "a token", "<user>": "the name of a user", "<host>": "the name of a host"}
TOKEN, LOCAL_PATH, HOME_PATH = "a token", "a local path", "a path into somebody's home"


def private_names(content: Content) -> list[str]:
    """Where a file gives away a local path, a user, a host or a token; one sentence a place, three a file at most."""
    search = _Search(_data_texts(content.files.get(FACTS_FILE)))
    problems = []
    for name, path in content.files.items():
        problems += told(name, search.leaks(name, path))
    return problems


def told(name: str, found: Iterable[tuple[str, str]]) -> list[str]:
    """A sentence for each of the first three places of a file, and one for all others."""
    sentences = [f"{name}{place}: it has {what}; take it out." for place, what in found]
    more = len(sentences) - 3
    return sentences[:3] + ([f"{name}: {more} more place{'s'[: more - 1]} of this kind."] if more > 0 else [])


def own_secrets() -> tuple[str, ...]:
    """Values of environment variables that hold secrets and cannot be words."""
    from ..finetune.scrubbing import environment_secrets

    return tuple(secret for secret in environment_secrets() if not secret.isalpha())


def in_data(text: str, secrets: Iterable[str]) -> str | None:
    """What is private in words of data, where a name may be a word; None if nothing is.

    Args:
        text: the words.
        secrets: further ones, see `own_secrets`.
    """
    if any(start in text for start in _TOKEN_STARTS) and TOKEN_FORMS.search(text):
        return TOKEN
    if any(secret in text for secret in secrets):
        return TOKEN
    if "/" in text and any(_is_here(found[0].rstrip(".-")) for found in _PATH.finditer(text)):
        return LOCAL_PATH
    if "/home/" in text or "Users" in text:
        from ..finetune.scrubbing import PLAIN_NAMES

        if any(found["user"].lower() not in PLAIN_NAMES for found in _HOME.finditer(text)):
            return HOME_PATH
    return None


def in_bytes(path: Path) -> Iterator[tuple[str, str]]:
    """What is private in a file that is no text, as far as its bytes show it: pictures keep notes, for instance."""
    home = str(Path.home()).encode()
    with path.open("rb") as file:
        if not path.stat().st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if len(home) > 5 and data.find(home + b"/") >= 0:
                yield "", LOCAL_PATH
            if _TOKEN_BYTES.search(data):
                yield "", TOKEN


class _Search:
    """Looks through the files of a checkpoint.

    Args:
        data_texts: texts of data that the facts quote, and that the card may.
    """

    def __init__(self, data_texts: frozenset[str]) -> None:
        self.data_texts = sorted(data_texts, key=len, reverse=True)
        self.secrets = own_secrets()
        self.harmless_keys: set[str] = set()  # a log has the same ones in every line

    def leaks(self, name: str, path: Path) -> Iterator[tuple[str, str]]:
        """The place in a file and what is there, for each private name in it."""
        file = PurePosixPath(name)
        if file.suffix == ".safetensors":
            yield from self.walk(_weights_metadata(path), "")
            return
        if file.suffix in BINARIES or path.stat().st_size > LARGEST_TEXT:
            yield from in_bytes(path)
            return
        text = path.read_text(encoding="utf-8", errors="replace")
        found = list(self.of_text(file, text))
        if not found and TOKEN_FORMS.search(text):  # where no reader of the format sees it, for instance a key twice
            found = [("", TOKEN)]
        yield from found

    def of_text(self, file: PurePosixPath, text: str) -> Iterator[tuple[str, str]]:
        """As `leaks`, of the content of a text file."""
        is_words = file.name in VOCABULARIES
        is_quoting = str(file) == FACTS_FILE or file.parts[0] == "evaluation"
        keys = WORD_KEYS | TEXT_KEYS if _TOKENIZER_FILE.fullmatch(file.name) else TEXT_KEYS if is_quoting else ()
        try:
            if file.suffix == ".json":
                yield from self.walk(json.loads(text), "", keys, is_data=is_words)
                return
            if file.suffix == ".jsonl":
                lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
                for number, document in [(number, json.loads(line)) for number, line in lines]:
                    for place, what in self.walk(document, "", keys):
                        yield f", line {number}{place}", what
                return
            if file.suffix == ".toml":
                yield from self.walk(tomllib.loads(text), "")
                # comments hold text too
                text = "\n".join(line.partition("#")[2] for line in text.splitlines())
        except (ValueError, RecursionError):  # what is no JSON is read as text
            pass
        quoted = text
        for data in self.data_texts:
            quoted = quoted.replace(data, "\n" * data.count("\n"))
        for number, (line, rest) in enumerate(zip(text.split("\n"), quoted.split("\n"), strict=True), 1):
            what = (None if is_words else _leak(_INTERPRETER.sub("", rest))) or in_data(line, self.secrets)
            if what:
                yield f", line {number}", what

    def walk(
        self, value: Any, place: str, data_keys: Iterable[str] = (), *, is_data: bool = False
    ) -> Iterator[tuple[str, str]]:
        """As `leaks`, within a JSON or TOML document.

        Args:
            value: of the document.
            place: where in the file it stands.
            data_keys: keys under which words of data stand.
            is_data: whether it is such words itself.
        """
        if isinstance(value, Mapping):
            for key, item in value.items():
                what = self.of_key(key, is_data=is_data)
                if what:
                    yield f"{place}, in a key", what
                shown = "…" if what or is_data else key
                inner = f"{place}.{shown}" if place else f", {shown}"
                yield from self.walk(item, inner, data_keys, is_data=is_data or key in data_keys)
        elif isinstance(value, list):
            for item in value:
                yield from self.walk(item, place, data_keys, is_data=is_data)
        elif isinstance(value, str):
            what = (None if is_data else _leak(value)) or in_data(value, self.secrets)
            if what:
                yield place, what

    def of_key(self, key: str, *, is_data: bool) -> str | None:
        """What is private in the key of a mapping."""
        if is_data:
            return in_data(key, self.secrets)
        if key in self.harmless_keys:
            return None
        what = _leak(key)
        if what is None:
            self.harmless_keys.add(key)
        return what


def _leak(text: str) -> str | None:
    """What is private in a text of people or programs; None if nothing is."""
    from ..finetune.scrubbing import scrub

    text = _PICTURE.sub("", text)
    clean = scrub(text)
    if clean == text:
        return None
    return next((what for mark, what in _PRIVATE.items() if clean.count(mark) > text.count(mark)), LOCAL_PATH)


@functools.lru_cache(maxsize=10_000)
def _is_here(path: str) -> bool:
    """Whether there is something at a path on this machine which not every machine has."""
    try:
        if path.split("/")[1] in _SYSTEM:
            return False
        return Path(path).exists() or (path.count("/") > 2 and Path(path).parent.exists())
    except OSError:  # too long for a path
        return False


def _weights_metadata(path: Path) -> Any:
    """What stands in the header of a weight file beside the tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            return {}  # reloading says what is wrong with the file
        try:
            return json.loads(file.read(length)).get("__metadata__", {})
        except (ValueError, AttributeError):
            return {}


def _data_texts(path: Path | None) -> frozenset[str]:
    """Words of data that stand in the facts, and so in the card."""
    try:
        facts = read_facts(path) if path else None
    except FactsError:
        facts = None
    if facts is None:
        return frozenset()
    mistakes = [mistake for evaluation in facts.evaluations for mistake in evaluation.mistakes]
    texts = [text for mistake in mistakes for text in (mistake.text, mistake.text_pair) if text]
    texts += [value for example in facts.examples for value in example.inputs.values() if isinstance(value, str)]
    return frozenset(text for text in texts if len(text) > 3)
