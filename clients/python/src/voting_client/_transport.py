"""Requests that may be sent again."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from .problem import OutcomeUnknown, VotingProblem, problem_of

#: A proxy, or a service that starts or stops, answers with one of these.
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


#: Whoever follows a result asks again after this many seconds, however long the service asks to wait.
LONGEST_ASKED = 300.0

#: `time.sleep` takes no number of any size.
_A_YEAR = 31_536_000.0


def retry_after(answer: httpx.Response) -> float:
    """The seconds that an answer asks to wait; 0 if it names none."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), _A_YEAR)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    try:
        # By the clock that has set the time.
        now = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        now = time.time()
    return min(max(until - now, 0.0), _A_YEAR)


class Transport:
    """Sends requests that have the same effect however often they are sent.

    It follows no redirect: the key, code or token of a request is for the service of this address alone.
    """

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
        answer = self.answer(method, path, **options)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError as error:
            # A proxy has answered, or a page to sign in.
            raise OutcomeUnknown(f"the answer to {method} {path} is not JSON") from error

    def answer(
        self, method: str, path: str, *, cookie: str | None = None, **options: Any
    ) -> httpx.Response:
        """A successful answer. `cookie` is the only cookie that is sent: those of a shared client may be of somebody else."""
        ends = time.monotonic() + self.patience
        waits = Pauses()
        # Whether a try may have done what was asked, although nobody has said so.
        is_in_doubt = False
        while True:
            pause = 0.0
            try:
                request = self.http.build_request(method, self.url + path, **options)
                request.headers.pop("cookie", None)
                if cookie is not None:
                    request.headers["cookie"] = cookie
                answer = self.http.send(request, follow_redirects=False)
            except httpx.TransportError as error:
                failed: Exception = error
                # Without a connection nothing was sent.
                is_in_doubt = is_in_doubt or not isinstance(error, httpx.ConnectError)
                is_final = False
            else:
                if answer.is_success:
                    return answer
                pause = retry_after(answer)
                problem = problem_of(answer, pause)
                is_in_doubt = is_in_doubt or problem.may_be_done
                failed = problem
                is_final = answer.status_code not in _TRY_AGAIN or "challenge" in problem.document
            pause = max(pause, waits.next())
            if is_final or time.monotonic() + pause > ends:
                if is_in_doubt and method != "GET":
                    raise OutcomeUnknown(f"it is not known what became of {method} {path}") from failed
                if isinstance(failed, VotingProblem):
                    raise failed
                raise OutcomeUnknown(f"no answer to {method} {path}") from failed
            time.sleep(pause)
