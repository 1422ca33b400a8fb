"""Running polls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast as typed
from urllib.parse import quote

import httpx

from ._generated.operator import CountedPoll, Event, Events, NewPoll, Pipeline, StoredPoll
from ._transport import LONGEST_ASKED, Pauses, Transport
from .problem import OutcomeUnknown, VotingProblem

#: The seconds that one request waits for an event: less than the transport waits for an answer.
_WAIT = 5


class Operator:
    """The operator's API, for whoever has a token."""

    def __init__(
        self, url: str, token: str, *, patience: float = 30.0, http: httpx.Client | None = None
    ) -> None:
        self._transport = Transport(url, patience=patience, http=http)
        self._authorization = f"Bearer {token}"

    def put_poll(self, poll: NewPoll) -> StoredPoll:
        """Makes the poll, or changes what may be changed of it."""
        return typed(StoredPoll, self.send("PUT", _path(poll["id"]), json=poll))

    def poll(self, poll: str) -> CountedPoll:
        """One poll, also a draft or an archived one, with its state and turnout."""
        return typed(CountedPoll, self.send("GET", _path(poll)))

    def close_poll(self, poll: str, *, patience: float = 60.0) -> StoredPoll:
        """Closes the poll for good, and returns it once its count is final.

        Raises `TimeoutError` if it is not final after `patience` seconds. It becomes final by itself then.
        """
        ends = time.monotonic() + patience
        while True:
            closed = typed(StoredPoll, self.send("POST", f"{_path(poll)}/close"))
            if closed["state"] in ("final", "archived"):
                return closed
            if time.monotonic() > ends:
                raise TimeoutError(f"the poll {poll} is closing, and not yet final")
            time.sleep(0.2)

    def pipeline(self) -> Pipeline:
        """How many ballots are in each state."""
        return typed(Pipeline, self.send("GET", "/v1/pipeline"))

    def events(self, after: int = 0) -> Iterator[Event]:
        """What happens, in order: each event after this number, and then each new one.

        Keep the `number` of the last event that you have dealt with, and begin after it the next time. A service that does not
        answer is asked again. Raises `VotingProblem` if events after this number are not kept any more (its type is
        `urn:voting:problem:events-gone`), or if the token may not read them.
        """
        waits = Pauses(first=1.0, longest=30.0)
        while True:
            asked = 0.0
            try:
                params = {"after": after, "wait": _WAIT}
                part = typed(Events, self.send("GET", "/v1/events", params=params))
            except OutcomeUnknown:
                pass
            except VotingProblem as problem:
                if problem.status < 500 and problem.status != 429:
                    raise
                asked = min(problem.retry_after, LONGEST_ASKED)
            else:
                waits.reset()
                for event in part["events"]:
                    after = event["number"]
                    yield event
                continue
            time.sleep(max(asked, waits.next()))

    def send(self, method: str, path: str, **options: Any) -> Any:
        """Any other operation of the API: the JSON of its answer.

        The request may be sent again if no answer comes, so use this for operations that have the same effect twice. For
        others, such as a new webhook, use an `Operator` with `patience=0`: it sends each request once.
        """
        headers = {"Authorization": self._authorization, **options.pop("headers", {})}
        return self._transport.send(method, path, headers=headers, **options)

    def close(self) -> None:
        self._transport.close()


def _path(poll: str) -> str:
    return f"/v1/polls/{quote(poll, safe='')}"
