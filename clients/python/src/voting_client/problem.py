"""What can go wrong."""

from __future__ import annotations

from typing import Any

import httpx


#: The problems of the service with a status of 500 or more with which it says that nothing was stored.
_NOTHING_STORED = frozenset({"overloaded", "not-stored", "foreign-secret"})


class VotingProblem(Exception):
    """The service refused a request. The request changed nothing."""

    def __init__(self, status: int, document: dict[str, Any], retry_after: float = 0.0) -> None:
        #: The status of the answer.
        self.status = status
        #: The problem document (RFC 9457); empty if the answer has none.
        self.document = document
        #: The kind of the problem, such as `urn:voting:problem:poll-closed`.
        self.type: str = document.get("type", "about:blank")
        #: What is wrong, in words for people.
        self.detail: str = document.get("detail") or document.get("title") or f"status {status}"
        #: The seconds that the service asks to wait before the next try; 0 if it names none.
        self.retry_after = retry_after
        kind = self.type.removeprefix("urn:voting:problem:")
        #: Whether the request may have been carried out all the same: a proxy may say so, or the service.
        self.may_be_done = status >= 500 and kind not in _NOTHING_STORED
        asks = f", asks to wait {retry_after:.0f} s" if retry_after else ""
        super().__init__(f"{self.detail} ({self.type}, {status}{asks})")


class OutcomeUnknown(Exception):
    """No answer came, or one of a proxy, so it is not known whether the service did what was asked.

    It is safe to ask for the same again: a voter has one ballot, and the last one counts.
    """


def problem_of(answer: httpx.Response, retry_after: float = 0.0) -> VotingProblem:
    """The problem that an answer tells of. Its body must have been read."""
    if answer.is_redirect:
        to = answer.headers.get("location", "")
        detail = f"the answer is a redirect, which is not followed: name the address of the service itself ({to})"
        return VotingProblem(answer.status_code, {"detail": detail}, retry_after)
    try:
        document = answer.json()
    except ValueError:
        document = {}
    return VotingProblem(
        answer.status_code, document if isinstance(document, dict) else {}, retry_after
    )
