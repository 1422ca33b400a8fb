"""Votes, reads results and runs polls of a voting system over its HTTP API."""

from ._generated.operator import CountedPoll, Event, NewPoll, Pipeline, StoredPoll
from ._generated.result import Receipt, Tally
from ._generated.vote import Accepted, Eligibility, Poll, Withdrawn
from .operator import Operator
from .problem import OutcomeUnknown, VotingProblem
from .results import Results, Update
from .voter import Voter, new_key
from .webhook import InvalidWebhook, verify_webhook

__all__ = [
    "Accepted",
    "CountedPoll",
    "Eligibility",
    "Event",
    "InvalidWebhook",
    "NewPoll",
    "Operator",
    "OutcomeUnknown",
    "Pipeline",
    "Poll",
    "Receipt",
    "Results",
    "StoredPoll",
    "Tally",
    "Update",
    "Voter",
    "VotingProblem",
    "Withdrawn",
    "new_key",
    "verify_webhook",
]
