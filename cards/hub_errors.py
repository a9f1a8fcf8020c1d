"""What the client of the Hub raises, as one sentence: what was asked, what the Hub said, and what to do.

The client has four families of exceptions: HTTP errors with an answer, errors of the connection, ``RuntimeError`` with
the cause inside (uploads over LFS) and the built-in ``ConnectionError`` with a text only (Xet). Beside them answers
that are not what the protocol says end in ``ValueError`` or ``KeyError``.
"""

from __future__ import annotations

import datetime
import email.utils
import json
import re
import ssl
from collections.abc import Iterator
from typing import Any

import httpx2
from huggingface_hub import errors

from ..pipelines.errors import HubError

FAILURES = (httpx2.HTTPError, OSError, RuntimeError, ValueError, KeyError, TypeError)
"""What a call of the client may raise. `HfHubHTTPError` is an ``HTTPError``; the errors of Xet are ``OSError``."""

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed."""

CLOCK_TOLERANCE = 300.0
"""Seconds that this machine's clock may be off before it is named as a possible cause; signed URLs allow 15 minutes."""

_QUOTA = re.compile(
    r"quota|storage (?:limit|exceeded|space)|limit (?:reached|exceeded)|exceeded your|payment|billing", re.I
)
_STATUS_IN_TEXT = re.compile(r"\b(?:status(?: code)?:?|HTTP(?: status)?(?: \w+ error)?\W{0,3}|\() ?([45]\d\d)\b", re.I)
AGAIN = "run the same command again later"


def explain(error: BaseException, *, doing: str, endpoint: str, repository: str | None = None) -> HubError:
    """The error of ours for what the client raised.

    Args:
        error: what was raised; its causes are looked at too.
        doing: what was asked, to stand after "to": ``create me/reviews``.
        endpoint: of the Hub.
        repository: Hub id that it was about.
    """
    chain = list(causes(error))
    if isinstance(error, ValueError) and "metadata in README.md" in str(error):
        return HubError(
            f"the Hub refuses the card README.md: {_short(error, after='README.md.')}; correct it, and see what "
            "`quintet card --check` says.",
            status=400,
        )
    for cause in chain:
        if isinstance(cause, errors.HfHubHTTPError):
            return _refused(chain, cause.response, doing, endpoint, repository)
    for cause in chain:
        if isinstance(cause, errors.OfflineModeIsEnabled):
            return HubError(
                f"cannot {doing}: offline mode is switched on by HF_HUB_OFFLINE; run the same command without it."
            )
        if isinstance(cause, httpx2.HTTPError | ssl.SSLError):
            return _not_connected(cause, doing, endpoint)
    if isinstance(error, ConnectionError | PermissionError | FileNotFoundError) and "xet" in repr(chain).lower():
        return _xet_failed(error, doing, endpoint)
    if isinstance(error, ConnectionError):
        return _xet_failed(error, doing, endpoint)
    if isinstance(error, json.JSONDecodeError | KeyError | TypeError):
        return HubError(
            f"cannot {doing}: what {endpoint} answered is not in the protocol of the Hub ({_short(error)}); check "
            f"HF_ENDPOINT, or {AGAIN}.",
            is_transient=True,
        )
    return HubError(f"cannot {doing}: {_short(error)}.")


def _refused(
    chain: list[BaseException], answer: httpx2.Response, doing: str, endpoint: str, repository: str | None
) -> HubError:
    """The error for an answer that is a refusal."""
    status = answer.status_code
    said = _said(chain, answer)
    wait = _asked_to_wait(answer)
    if status == 401 and not any(isinstance(cause, errors.RepositoryNotFoundError) for cause in chain):
        sentence = (
            f"cannot {doing}: the Hub ({endpoint}) does not accept the token ({said}), which is wrong, expired or "
            f"revoked; make one with write access at {endpoint}/settings/tokens, then log in with `hf auth login` or "
            "set HF_TOKEN."
        )
    elif any(isinstance(cause, errors.GatedRepoError) for cause in chain):
        sentence = f"cannot {doing}: '{repository}' is gated; ask for access on its page, {endpoint}/{repository}."
    elif any(isinstance(cause, errors.RepositoryNotFoundError) for cause in chain):
        sentence = (
            f"cannot {doing}: the Hub ({endpoint}) has no repository '{repository}', or this token may not see it; "
            "check the name and the token."
        )
    elif any(isinstance(cause, errors.RevisionNotFoundError) for cause in chain):
        sentence = f"cannot {doing}: '{repository}' has no such revision ({said}); expected a branch."
    elif status in (402, 413, 507) or (status == 403 and _QUOTA.search(said)):
        sentence = (
            f"cannot {doing}: the Hub has no room left for this account ({said}); free some or take a larger plan at "
            f"{endpoint}/settings/billing, then run the same command again."
        )
    elif status == 403:
        sentence = (
            f"cannot {doing}: the Hub refuses it ({said}); use a token that may write to "
            f"'{(repository or '').split('/')[0]}', from {endpoint}/settings/tokens, or propose the change with "
            "--create-pr."
        )
    elif status == 409:
        sentence = f"cannot {doing}: the name is taken ({said}); choose another name, or a token that may see it."
    elif status == 412:
        sentence = (
            f"cannot {doing}: someone else committed to '{repository}' meanwhile; run the same command again, which "
            "first shows what it would change."
        )
    elif status == 429:
        pause = f"in {wait:.0f} seconds" if wait else "later"
        sentence = f"cannot {doing}: the Hub asks to slow down ({said}); run the same command again {pause}."
    elif status in TRANSIENT:
        sentence = f"cannot {doing}: the Hub failed with status {status} ({said}); {AGAIN}."
    else:
        sentence = f"cannot {doing}: the Hub answers with status {status} ({said}); correct what it names."
    return HubError(sentence + _clock_note(answer, status), status=status, is_transient=status in TRANSIENT, wait=wait)


def _not_connected(error: BaseException, doing: str, endpoint: str) -> HubError:
    """The error for a connection that did not come about or broke."""
    text = _short(error)
    if "certificate" in text.lower():
        return HubError(
            f"cannot {doing}: the certificate of {endpoint} is not accepted ({text}); check this machine's clock and "
            "the proxy."
        )
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        sentence = (
            f"cannot {doing}: the Hub ({endpoint}) cannot be reached ({text}); check the network and HF_ENDPOINT, "
            "then run the same command again."
        )
    elif isinstance(error, httpx2.TimeoutException):
        sentence = f"cannot {doing}: the Hub ({endpoint}) does not answer in time ({text}); {AGAIN}."
    elif isinstance(error, httpx2.TransportError):
        sentence = f"cannot {doing}: the connection to the Hub ({endpoint}) broke ({text}); {AGAIN}."
    else:
        return HubError(f"cannot {doing}: {text}; check HF_ENDPOINT, which is {endpoint}.")
    return HubError(sentence, is_transient=True)


def _xet_failed(error: BaseException, doing: str, endpoint: str) -> HubError:
    """The error for a failure within hf_xet, which says no more than a text."""
    text = _short(error)
    found = _STATUS_IN_TEXT.search(str(error))
    status = int(found[1]) if found else None
    if status == 404:
        advice = "a Hub without Xet storage needs HF_HUB_DISABLE_XET=1 in the environment"
    elif status in (401, 403):
        advice = f"use a token with write access, from {endpoint}/settings/tokens"
    else:
        advice = f"check the network, and {AGAIN}, perhaps with HF_HUB_DISABLE_XET=1"
    return HubError(
        f"cannot {doing}: the Xet storage of {endpoint} failed ({text}); {advice}.",
        status=status,
        is_transient=status is None or status in TRANSIENT,
    )


def _said(chain: list[BaseException], answer: httpx2.Response) -> str:
    """The Hub's own words, on one line."""
    message = next((cause.server_message for cause in chain if getattr(cause, "server_message", None)), None)  # type: ignore[attr-defined]
    return _one_line(message or answer.reason_phrase or f"status {answer.status_code}")


def _asked_to_wait(answer: httpx2.Response) -> float | None:
    """Seconds from ``Retry-After``, as a number or a date, or from ``RateLimit``; None where neither is there."""
    limit = re.search(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)", answer.headers.get("ratelimit", ""))
    if limit:
        return float(limit[1])
    value = answer.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    date, now = _date(value), _date(answer.headers.get("date"))
    return max((date - now).total_seconds(), 0.0) if date and now else None


def _clock_note(answer: httpx2.Response, status: int) -> str:
    """A sentence about the clock, where a refusal may come from its being wrong."""
    theirs = _date(answer.headers.get("date"))
    if theirs is None or status not in (400, 401, 403):
        return ""
    off = (local_time() - theirs).total_seconds()
    if abs(off) <= CLOCK_TOLERANCE:
        return ""
    return (
        f" This machine's clock is {abs(off) / 60:.0f} minutes {'ahead of' if off > 0 else 'behind'} the Hub's, which "
        "can be the reason; set it."
    )


def local_time() -> datetime.datetime:
    """Now, by this machine's clock, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def _date(text: str | None) -> datetime.datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _short(error: BaseException, *, after: str = "") -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return _one_line(text.partition(after)[2] if after else text) or type(error).__name__


def _one_line(text: Any, limit: int = 300) -> str:
    line = " ".join(str(text).split()).rstrip(".")
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
