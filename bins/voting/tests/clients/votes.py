"""Votes, reads, creates and closes a poll with clients that were generated from the documents."""

import os
import time

from operator_client import AuthenticatedClient
from operator_client.api.default import close_poll, get_pipeline, put_poll
from operator_client.models import NewOption, NewPoll
from result_client import Client as ResultClient
from result_client.api.default import get_receipt, get_tally
from result_client.models import Problem as ResultProblem, ReceiptState
from vote_client import Client as VoteClient
from vote_client.api.default import cast_ballot, get_poll, list_polls
from vote_client.models import Ballot, Problem, ProblemType

POLL = "python"

operator = AuthenticatedClient(os.environ["OPERATOR"], token=os.environ["TOKEN"])
vote = VoteClient(os.environ["VOTE"])
result = ResultClient(os.environ["RESULT"])


def until(what, ask):
    for _ in range(300):
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"no {what}")


options = [NewOption(id="tea", label="Tea"), NewOption(id="coffee", label="Coffee")]
made = put_poll.sync(client=operator, body=NewPoll(id=POLL, title="Tea or coffee?", options=options))
assert made.id == POLL and made.state == "open", made

until("poll", lambda: not isinstance(get_poll.sync(POLL, client=vote), Problem))
assert POLL in [poll.id for poll in list_polls.sync(client=vote).polls]

# The client keeps the voter's cookie: the second vote takes the place of the first.
first = cast_ballot.sync(POLL, client=vote, body=Ballot(choices=["tea"]))
second = cast_ballot.sync(POLL, client=vote, body=Ballot(choices=["coffee"]))
wrong = cast_ballot.sync(POLL, client=vote, body=Ballot(choices=["water"]))
assert isinstance(wrong, Problem) and wrong.type_ == ProblemType.URNVOTINGPROBLEMINVALID_CHOICE, wrong


def counted():
    receipt = get_receipt.sync(second.receipt, client=result)
    return receipt.state == ReceiptState.COUNTED


until("count", counted)
assert get_receipt.sync(first.receipt, client=result).state == ReceiptState.SUPERSEDED
assert isinstance(get_receipt.sync("none", client=result), ResultProblem)
tally = get_tally.sync(POLL, client=result)
assert tally.voters == 1, tally
assert {option.id: option.votes for option in tally.options} == {"tea": 0, "coffee": 1}, tally

close_poll.sync(POLL, client=operator)
until("end", lambda: close_poll.sync(POLL, client=operator).state == "final")
late = until("closed poll", lambda: cast_ballot.sync(POLL, client=vote, body=Ballot(choices=["tea"])))
assert isinstance(late, Problem) and late.type_ == ProblemType.URNVOTINGPROBLEMPOLL_CLOSED, late
assert get_pipeline.sync(client=operator).pending == 0
print("python: ok")
