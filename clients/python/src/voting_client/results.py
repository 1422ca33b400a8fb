"""Reading results."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast as typed
from urllib.parse import quote

import httpx
import httpx_sse

from ._generated.result import Receipt, Tally
from ._transport import LONGEST_ASKED, Pauses, Transport, retry_after
from .problem import VotingProblem, problem_of

#: The service sends something every 15 seconds. A stream that is silent for this long, in seconds, is broken.
_SILENCE = 40.0


@dataclass(frozen=True)
class Update:
    """What is known of a result."""

    tally: Tally
    #: Whether this is the newest tally: false while the connection is broken, or while the service cannot read the tally.
    is_current: bool


class Results:
    """The results of a deployment's polls.

    `grant` opens a result that is shown after a vote: `cast` returns it, and it is valid for a minute.
    """

    def __init__(self, url: str, *, patience: float = 30.0, http: httpx.Client | None = None) -> None:
        self._transport = Transport(url, patience=patience, http=http)

    def tally(self, poll: str, *, grant: str | None = None) -> Tally:
        """The tally now."""
        return typed(Tally, self._transport.send("GET", _path(poll), headers=_headers(grant)))

    def receipt(self, receipt: str) -> Receipt:
        """What became of a ballot."""
        return typed(Receipt, self._transport.send("GET", f"/v1/receipts/{quote(receipt, safe='')}"))

    def follow(self, poll: str, *, grant: str | None = None) -> Iterator[Update]:
        """The tally, and each change of it, until the poll is final.

        A broken connection is opened again, after 5 minutes at most, however long the service asks to wait. Raises `VotingProblem` if the service refuses, or if the result is no longer shown.
        """
        url = f"{self._transport.url}{_path(poll)}/events"
        timeout = httpx.Timeout(10.0, read=_SILENCE)
        waits = Pauses(first=1.0, longest=30.0)
        known: Tally | None = None
        while True:
            pause = 0.0
            try:
                with httpx_sse.connect_sse(
                    self._transport.http,
                    "GET",
                    url,
                    headers=_headers(grant),
                    timeout=timeout,
                    follow_redirects=False,
                ) as source:
                    answer = source.response
                    if answer.is_success:
                        for event in source.iter_sse():
                            waits.reset()
                            if event.event == "tally":
                                known = typed(Tally, json.loads(event.data))
                                yield Update(known, True)
                                if known["state"] in ("final", "archived"):
                                    return
                            elif event.event == "stalled" and known is not None:
                                yield Update(known, False)
                            elif event.event == "hidden":
                                document = json.loads(event.data)
                                raise VotingProblem(document.get("status", 403), document)
                    else:
                        answer.read()
                        if answer.status_code < 500 and answer.status_code != 429:
                            raise problem_of(answer)
                        pause = min(retry_after(answer), LONGEST_ASKED)
            except httpx.TransportError:
                pass
            if known is not None:
                yield Update(known, False)
            time.sleep(max(pause, waits.next()))

    def close(self) -> None:
        self._transport.close()


def _path(poll: str) -> str:
    return f"/v1/polls/{quote(poll, safe='')}/tally"


def _headers(grant: str | None) -> dict[str, str]:
    return {} if grant is None else {"Result-Grant": grant}
