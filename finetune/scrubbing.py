"""Texts without private names: paths become base names; home, user, host and tokens go.

What is no path stays as it is: ``and/or``, ``24/7``, ``12/03/2024``, ``me/reviews`` on the Hub, ``https://…``.
"""

from __future__ import annotations

import functools
import getpass
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

TOKEN, USER, HOST = "<token>", "<user>", "<host>"

SECRET_KEYS = frozenset(
    {"access_token", "api_key", "auth_token", "hf_token", "hub_token", "password", "secret", "token", "wandb_api_key"}
)
"""Names of settings whose value is a secret; ``pad_token`` and ``max_tokens`` are not among them."""

# fmt: off
PLAIN_NAMES = frozenset(
    {
        "admin", "administrator", "azureuser", "centos", "colab", "computer", "container", "debian", "default",
        "desktop", "docker", "fedora", "guest", "home", "host", "jovyan", "kaggle", "laptop", "linux", "local",
        "localhost", "localdomain", "machine", "model", "models", "node", "none", "nobody", "notebook", "root",
        "runner", "sagemaker", "server", "test", "text", "train", "ubuntu", "user", "users", "vagrant", "work",
        "worker", "workspace",
    }
)
# fmt: on
"""Users and hosts called like ordinary words; they tell nothing, and taking them out would damage texts."""

SHORTEST_NAME = 4
"""Shorter user and host names are too likely to be a word; within a path they are cut anyway."""

ROOTS = (
    "Applications|Library|System|Users|Volumes|bin|boot|content|data|dev|etc|home|kaggle|lib|mnt|media|net|nfs|opt|proc|"
    "private|root|run|scratch|srv|storage|sys|tmp|usr|var|work|workspace"
)
"""First folders by which a path of one part, ``/tmp``, is told from ``/`` in a text."""

_SECRETS = re.compile(  # Hugging Face, GitHub, GitLab, OpenAI, Slack, Amazon
    r"\b(?:hf|api_org|ghp|gho|github_pat|glpat|sk|xox[bp])[_-][A-Za-z0-9_-]{16,}|\bAKIA[A-Z0-9]{16}\b"
)
# A key of W&B is 40 hexadecimal digits, as is a revision: only the word before it tells them apart.
_LABELLED_SECRETS = re.compile(
    r"(?i)(\b(?:password|passwd|secret)['\"]?\s*[=:]\s*['\"]?"
    r"|(?:\b\w*api[ _-]?key|\bbearer|\bwandb login|\b(?:(?:access|auth|hub|hf|wandb)[ _-]?)?(?:token|signature|sig))"
    r"['\"]?\s*[=: ]\s*['\"]?(?=[\w.%-]*\d))"  # a digit within tells a key from a word
    r"(?!<token>)([\w.%+/=~-]{8,})"
)
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+@")
_QUOTED_PATH = re.compile(
    r"(?P<quote>[\"'])(?P<path>(?:file://)?(?:/[^/\"'\n]+){2,}/?|~(?:/[^/\"'\n]+)+/?|[A-Za-z]:\\[^\"'\n]+)(?P=quote)"
)
_WINDOWS_PATH = re.compile(r"(?<![\w/\\])(?:[A-Za-z]:[\\/](?!/)|\\\\[\w.$-]+\\)[^\s\"'<>|*?,;]*")
_POSIX_PATH = re.compile(
    r"(?<![\w/.<>)\]\\~%-])(?:file://)?"
    rf"(?:(?:/[^\s/\"'<>|,;:()\[\]{{}}]+){{2,}}/?|/(?:{ROOTS})/?(?![\w/.-]))"
    r"|(?<![\w/.])~(?:[A-Za-z_][\w.-]*)?/[^\s\"'<>|,;:()\[\]{}]+"
)
_NUMBERS = re.compile(r"^[\d/.]+$")


def scrub(value: Any) -> Any:
    """``value`` without local folders, user, host and tokens; texts within lists and mappings likewise.

    Absolute paths, ``~/…`` and ``file://`` become base names. Paths (`pathlib`) become texts. Other types are returned
    as they are.
    """
    if isinstance(value, str):
        return _scrub_text(value)
    if isinstance(value, os.PathLike):
        return _scrub_text(base_name(os.fspath(value)))
    if isinstance(value, Mapping):
        return {scrub(key): TOKEN if _is_secret(key, item) else scrub(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named tuple takes its items one by one
        return type(value)(*map(scrub, value))
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(scrub(item) for item in value)
    return value


def base_name(text: str) -> str:
    """``text`` without its folders if it is a path: absolute, from home or up, or one that exists; else as it is.

    A Hub id, ``me/reviews``, is no path unless there is such a folder here.
    """
    if "://" in text and not text.startswith("file://"):
        return text
    text = text.removeprefix("file://")
    if re.match(r"[A-Za-z]:[\\/]|\\\\", text):
        return PureWindowsPath(text).name or text[:2]
    if "/" not in text or "\n" in text:
        return text
    is_path = text.startswith(("/", "~", "./", "../")) or _exists(text)
    return _last_part(text) if is_path else text


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a path, or with a null character
        return False


def _last_part(path: str) -> str:
    return PurePosixPath(path.removeprefix("file://")).name or "/"


def _is_secret(key: Any, value: Any) -> bool:
    return (
        isinstance(key, str) and key.lower().replace("-", "_") in SECRET_KEYS and isinstance(value, str) and bool(value)
    )


def _scrub_text(text: str) -> str:
    if text.startswith("/") and text.strip("/") and "\n" not in text and _exists(text):
        text = _last_part(text)  # the only way to know where a path with spaces ends
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"(?<![\w/]){re.escape(home)}(?![\w.-])", "~", text)
    for secret in environment_secrets():
        text = text.replace(secret, TOKEN)
    text = _SECRETS.sub(TOKEN, text)
    text = _LABELLED_SECRETS.sub(rf"\g<1>{TOKEN}", text)
    text = _CREDENTIALS.sub("", text)
    text = _QUOTED_PATH.sub(_cut_quoted, text)
    text = _WINDOWS_PATH.sub(lambda found: PureWindowsPath(found[0]).name or found[0][:2], text)
    text = _POSIX_PATH.sub(lambda found: found[0] if _NUMBERS.match(found[0]) else _last_part(found[0]), text)
    for pattern, replacement in _private_names():
        text = pattern.sub(replacement, text)
    return text


def _cut_quoted(found: re.Match[str]) -> str:
    path = found["path"]
    name = PureWindowsPath(path).name if re.match(r"[A-Za-z]:", path) else _last_part(path)
    return f"{found['quote']}{name}{found['quote']}"


def environment_secrets() -> list[str]:
    """Values of environment variables that hold secrets, the longest first; read anew, they can be set at any time."""
    endings = ("TOKEN", "API_KEY", "SECRET", "PASSWORD", "ACCESS_KEY")
    found = {value for name, value in os.environ.items() if name.upper().endswith(endings) and len(value) >= 8}
    return sorted(found, key=len, reverse=True)


@functools.cache
def _private_names() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Patterns for this machine's users and hosts."""
    users = {os.environ.get("USER"), os.environ.get("LOGNAME"), os.environ.get("USERNAME"), _login()}
    hosts = {os.environ.get("HOSTNAME"), socket.gethostname(), *socket.gethostname().split(".")[:1]}
    patterns = []
    for name in _telling(hosts):
        patterns.append((re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"), HOST))
    for name in _telling(users):
        # followed by a slash it is the owner of a Hub repository, which is public
        patterns.append((re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9]|/[\w.-])"), USER))
    return tuple(patterns)


def _telling(names: set[str | None]) -> list[str]:
    kept = {name for name in names if name and len(name) >= SHORTEST_NAME and name.lower() not in PLAIN_NAMES}
    return sorted(kept, key=len, reverse=True)


def _login() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may run under a number without a name
        return None
