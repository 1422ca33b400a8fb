"""What can go wrong."""

from __future__ import annotations

from typing import Any

import httpx


#: The problems of the service with a status of 500 or more with which it says that nothing was stored.
_NOTHING_STORED = frozenset({"overloaded", "not-stored", "foreign-secret"})


class VotingProblem(Exception):
    """The service refused a request. The request changed nothing."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        #: The status of the answer.
        self.status = status
        #: The problem document (RFC 9457); empty if the answer has none.
        self.document = document
        #: The kind of the problem, such as `urn:voting:problem:poll-closed`.
        self.type: str = document.get("type", "about:blank")
        #: What is wrong, in words for people.
        self.detail: str = document.get("detail") or document.get("title") or f"status {status}"
        kind = self.type.removeprefix("urn:voting:problem:")
        #: Whether the request may have been carried out all the same: a proxy may say so, or the service.
        self.may_be_done = status >= 500 and kind not in _NOTHING_STORED
        super().__init__(f"{self.detail} ({self.type}, {status})")


class OutcomeUnknown(Exception):
    """No answer came, or one of a proxy, so it is not known whether the service did what was asked.

    It is safe to ask for the same again: a voter has one ballot, and the last one counts.
    """


def problem_of(answer: httpx.Response) -> VotingProblem:
    """The problem that an answer tells of. Its body must have been read."""
    try:
        document = answer.json()
    except ValueError:
        document = {}
    return VotingProblem(answer.status_code, document if isinstance(document, dict) else {})
