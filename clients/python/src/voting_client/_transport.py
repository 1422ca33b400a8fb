"""Requests that may be sent again."""

from __future__ import annotations

import random
import time
from typing import Any

import httpx

from .problem import OutcomeUnknown, problem_of

#: A proxy, or a service that starts or stops, answers with one of these. The service itself answers 503 where nothing was stored.
_TRY_AGAIN = frozenset({429, 502, 503, 504})

#: The first pause between two tries, and the longest one, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0




class Pauses:
    """How long to wait before each further try: longer each time, and not at the same moment as others."""

    def __init__(self, first: float = _FIRST_PAUSE, longest: float = _LONGEST_PAUSE) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def next(self) -> float:
        pause = self._next * random.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._longest)
        return pause

    def reset(self) -> None:
        self._next = self._first


def retry_after(answer: httpx.Response) -> float:
    """The seconds that an answer asks to wait; 0 if it names none."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0


class Transport:
    """Sends requests that have the same effect however often they are sent."""

    def __init__(self, url: str, *, patience: float, http: httpx.Client | None) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self.http = http if http is not None else httpx.Client(timeout=10.0)
        self._owns_http = http is None

    def close(self) -> None:
        if self._owns_http:
            self.http.close()

    def send(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of the answer. Sends again for up to `patience` seconds while no answer comes, or one that says to try again."""
        ends = time.monotonic() + self.patience
        waits = Pauses()
        while True:
            cause: httpx.TransportError | None = None
            pause = 0.0
            try:
                answer = self.http.request(method, self.url + path, **options)
            except httpx.TransportError as error:
                cause = error
            else:
                if answer.is_success:
                    return answer.json() if answer.content else None
                problem = problem_of(answer)
                if answer.status_code not in _TRY_AGAIN or "challenge" in problem.document:
                    raise problem
                pause = retry_after(answer)
            pause = max(pause, waits.next())
            if time.monotonic() + pause > ends:
                if cause is not None:
                    raise OutcomeUnknown(f"no answer to {method} {path}") from cause
                raise problem
            time.sleep(pause)
