"""Running polls."""

from __future__ import annotations

import time
from typing import Any, cast as typed
from urllib.parse import quote

import httpx

from ._generated.operator import CountedPoll, NewPoll, Pipeline, StoredPoll
from ._transport import Transport


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

    def send(self, method: str, path: str, **options: Any) -> Any:
        """Any other operation of the API: the JSON of its answer.

        The request may be sent again if no answer comes, so use this for operations that have the same effect twice.
        """
        headers = {"Authorization": self._authorization, **options.pop("headers", {})}
        return self._transport.send(method, path, headers=headers, **options)

    def close(self) -> None:
        self._transport.close()


def _path(poll: str) -> str:
    return f"/v1/polls/{quote(poll, safe='')}"
