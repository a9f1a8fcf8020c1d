"""A Hub as a place to ask: every call ends in time, and is repeated where that is safe.

`huggingface_hub` does the talking. Left to itself it waits for ever for an answer, and repeats uploads and listings
but neither the check of the token, nor looking at a repository, making one, or committing. What it raises becomes a
`HubError`: one sentence.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self, TypeVar

import httpx2
from huggingface_hub import HfApi, constants, get_token

from ..pipelines.errors import HubError, PublishError
from .hub_errors import FAILURES, explain
from .hub_records import Kind

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each repetition of a call that failed for a reason that may pass."""

LONGEST_WAIT = 300.0
"""Seconds; where the Hub asks to wait longer, the command ends and says so."""

LONGEST_STEP = 300.0
"""Seconds after which nothing is repeated any more: a server that hangs costs a whole timeout each time."""

TIMEOUTS = {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": 60.0}
"""Seconds without a sign of life after which a request has failed; long transfers give signs all the time."""

Result = TypeVar("Result")


class HubClient:
    """A Hub with a token, and patience.

    Args:
        endpoint: URL; None for ``HF_ENDPOINT``, else the public Hub.
        token: None for ``HF_TOKEN`` or what ``hf auth login`` stored.
        pauses: seconds before each repetition.
        timeouts: seconds by kind, as in `TIMEOUTS`.
        announce: told what is being done and waited for.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: str | None = None,
        *,
        pauses: Sequence[float] | None = None,
        timeouts: Mapping[str, float] | None = None,
        announce: Callable[[str], None] | None = None,
    ) -> None:
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self.token = token or get_token()
        self.pauses = tuple(PAUSES if pauses is None else pauses)
        self.timeouts = dict(timeouts or TIMEOUTS)
        self.announce = announce or (lambda text: None)
        # False: without a token the client would look for one again
        self.api = HfApi(endpoint=self.endpoint, token=self.token or False)

    @contextlib.contextmanager
    def session(self) -> Iterator[Self]:
        """Gives every request of the client a timeout, for the time of a block; a user's own client is kept."""
        from huggingface_hub import set_client_factory
        from huggingface_hub.utils import _http

        # There is no public way to learn the present factory, which may have proxies and certificates set.
        previous = _http._GLOBAL_CLIENT_FACTORY

        def limit(request: httpx2.Request) -> None:
            given = request.extensions.get("timeout") or {}
            request.extensions["timeout"] = {
                kind: seconds if given.get(kind) is None else given[kind] for kind, seconds in self.timeouts.items()
            }

        def with_timeouts() -> httpx2.Client:
            # Not by a timeout of the client: listings and repo_info ask for none in so many words, which goes before.
            client = previous()
            hooks = client.event_hooks
            client.event_hooks = {**hooks, "request": [*hooks["request"], limit]}
            return client

        set_client_factory(with_timeouts)
        try:
            yield self
        finally:
            set_client_factory(previous)

    def url(self, repository: str, kind: Kind, revision: str | None = None) -> str:
        """The page of a repository."""
        page = f"{self.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repository}"
        return f"{page}/tree/{revision}" if revision else page

    def repeat(self, doing: str, call: Callable[[], Result], repository: str | None = None) -> Result:
        """What ``call`` returns, which is called again after failures that may pass.

        Args:
            doing: what is asked, to stand after "to": ``create me/reviews``.
            call: safe to repeat.
            repository: Hub id that it is about.

        Raises:
            HubError: it failed for good.
        """
        start = time.monotonic()
        for pause in (*self.pauses, None):
            try:
                return call()
            except FAILURES as error:
                problem = explain(error, doing=doing, endpoint=self.endpoint, repository=repository)
                if not self.wait(problem, pause, start):
                    raise problem from error
        raise AssertionError("the last pause is None, after which nothing is repeated")

    def require_token(self) -> None:
        """Nothing, if there is a token.

        Raises:
            PublishError: there is none.
        """
        if not self.token:
            raise PublishError(
                f"no token was found for the Hub ({self.endpoint}); make one with write access at "
                f"{self.endpoint}/settings/tokens, then log in with `hf auth login` or set HF_TOKEN."
            )

    def brief(self) -> Self:
        """The same Hub with one repetition only, for looking at what a failure has left."""
        pauses = self.pauses[:1]
        return type(self)(self.endpoint, self.token, pauses=pauses, timeouts=self.timeouts, announce=self.announce)

    def wait(self, problem: HubError, pause: float | None, start: float) -> bool:
        """Waits before a repetition of what began at ``start``; False at once if there is to be none."""
        if pause is None or not problem.is_transient or (problem.wait or 0) > LONGEST_WAIT:
            return False
        if time.monotonic() - start > LONGEST_STEP:
            return False
        # What the Hub asks for counts even where pauses are short; a second more, since it rounds down.
        seconds = pause if problem.wait is None else problem.wait + min(1.0, pause)
        self.announce(f"{problem} Trying again in {seconds:.0f} s.")
        time.sleep(seconds)
        return True
