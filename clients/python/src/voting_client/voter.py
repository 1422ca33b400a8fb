"""Voting."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, cast as typed
from urllib.parse import quote

import httpx

from ._generated.vote import Accepted, Eligibility, Poll, Polls, Withdrawn
from ._transport import Transport
from .problem import VotingProblem


def new_key() -> str:
    """A key of a new voter: 256 random bits. Keep it as secret as a password."""
    return secrets.token_urlsafe(32)


class Voter:
    """One voter, in all polls of a deployment.

    A voter is known by exactly one of these:

    - `key`, in polls for everybody: a text from `new_key()`, the same for all ballots of this voter.
    - `code`, in one poll with codes.
    - `token`, in polls whose voters sign in: a JSON Web Token of the deployment's identity provider.

    A ballot is sent again for up to `patience` seconds while the service cannot be reached. This is safe: the voter has one
    ballot in a poll, and the last choice counts. Ballots of one `Voter` are sent one after the other, so an older choice
    never takes the place of a newer one.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        code: str | None = None,
        token: str | None = None,
        patience: float = 30.0,
        http: httpx.Client | None = None,
    ) -> None:
        if sum(name is not None for name in (key, code, token)) != 1:
            raise ValueError("name the voter by exactly one of key, code and token")
        self._transport = Transport(url, patience=patience, http=http)
        self._token = token
        #: The cookie of the session in each poll.
        self._sessions: dict[str, str] = {}
        self._one_at_a_time = threading.Lock()
        self._headers: dict[str, str] = {}
        if key is not None:
            self._headers["Idempotency-Key"] = key
        if code is not None:
            self._headers["Voter-Code"] = code

    @classmethod
    def remembered(cls, url: str, file: str | os.PathLike[str], *, patience: float = 30.0) -> Voter:
        """The voter whose key is in this file. A new voter, and the file, if there is none."""
        path = Path(file)
        if not path.exists():
            cls._keep_new_key(path)
        key = path.read_text().strip()
        if not key:
            raise ValueError(f"{path} has no key of a voter")
        return cls(url, key=key, patience=patience)

    @staticmethod
    def _keep_new_key(path: Path) -> None:
        """Of two programs that begin at the same time one makes the file, and both read it."""
        try:
            beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "w") as written:
                    written.write(new_key())
                    written.flush()
                    os.fsync(written.fileno())
                os.link(beside, path)
            finally:
                os.unlink(beside)
        except FileExistsError:
            pass

    def cast(self, poll: str, choices: Sequence[str]) -> Accepted:
        """Casts the ballot, in place of any earlier one of this voter. `[]` is a blank vote, where the poll allows it.

        Returns once the ballot is durable. Raises `VotingProblem` if it was refused, and `OutcomeUnknown` if no answer came.
        """
        if isinstance(choices, str):
            raise TypeError("choices is a list of the ids of options, not a text")
        body = {"choices": list(choices)}
        return typed(Accepted, self._as_voter("PUT", poll, "/ballot", json=body))

    def withdraw(self, poll: str) -> Withdrawn:
        """Takes the ballot back."""
        return typed(Withdrawn, self._as_voter("DELETE", poll, "/ballot"))

    def eligibility(self, poll: str) -> Eligibility:
        """Whether this voter may vote in the poll now."""
        return typed(Eligibility, self._as_voter("GET", poll, "/eligibility"))

    def polls(self) -> list[Poll]:
        """The polls that are listed."""
        return typed(Polls, self._transport.send("GET", "/v1/polls"))["polls"]

    def poll(self, poll: str) -> Poll:
        """One poll, with its options."""
        return typed(Poll, self._transport.send("GET", _path(poll)))

    def _as_voter(self, method: str, poll: str, what: str, **options: Any) -> Any:
        with self._one_at_a_time:

            def ask() -> Any:
                cookie = self._session(poll)
                return self._transport.send(
                    method, _path(poll) + what, headers=self._headers, cookie=cookie, **options
                )

            try:
                return ask()
            except VotingProblem as problem:
                # The session has ended. Another one is of the same voter.
                if self._token is None or problem.status != 401:
                    raise
                self._sessions.pop(poll, None)
                return ask()

    def _session(self, poll: str) -> str | None:
        """The cookie of the voter's session in this poll; `None` if the voter is known without one."""
        if self._token is None:
            return None
        if poll not in self._sessions:
            headers = {"Authorization": f"Bearer {self._token}"}
            begun = self._transport.answer(
                "POST", "/v1/session", json={"poll": poll}, headers=headers
            )
            cookies = begun.headers.get_list("set-cookie")
            self._sessions[poll] = "; ".join(cookie.split(";")[0] for cookie in cookies)
        return self._sessions[poll]

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Voter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _path(poll: str) -> str:
    return f"/v1/polls/{quote(poll, safe='')}"
