"""Uses the package against running services. VOTE, RESULT, OPERATOR and TOKEN name them."""

import json
import os
import socket
import stat
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from voting_client import Operator, OutcomeUnknown, Results, Voter, VotingProblem, new_key

VOTE, RESULT = os.environ["VOTE"], os.environ["RESULT"]


def until(ask):
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        try:
            answer = ask()
        except VotingProblem as problem:
            if problem.status != 404:
                raise
            answer = None
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError("waited in vain")


class Flaky(BaseHTTPRequestHandler):
    """Answers 503 twice, and then hands the request on; or drops the connection after the service has answered."""

    drops = 0
    refusals = 0
    #: Whether what is not dropped is refused.
    then_refuses = False

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if type(self).refusals:
            type(self).refusals -= 1
            self.send_response(503)
            self.send_header("retry-after", "0")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        headers = {
            name: self.headers[name]
            for name in ("Content-Type", "Idempotency-Key")
            if name in self.headers
        }
        answer = httpx.put(VOTE + self.path, content=body, headers=headers)
        if type(self).drops:
            type(self).drops -= 1
            # Without an answer; the socket is shared with the two files that read and write it.
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if type(self).then_refuses:
            self.send_response(409)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        self.send_response(answer.status_code)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_):
        pass


class Sessions(BaseHTTPRequestHandler):
    """Opens a session whose cookie is the token. The receipt of a ballot is its cookie. In the poll `page` it answers with a page."""

    def _answers(self, kind, text, cookie=None):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        if cookie is not None:
            self.send_header("set-cookie", f"session={cookie}; Path=/")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self):
        token = self.headers["authorization"].removeprefix("Bearer ")
        self._answers("application/json", '{"voter": "v", "ends_at": ""}', cookie=token)

    def do_PUT(self):
        if "/page/" in self.path:
            return self._answers("text/html", "<h1>Sign in")
        receipt = json.dumps({"receipt": self.headers["cookie"], "voter": "v"})
        return self._answers("application/json", receipt)

    def log_message(self, *_):
        pass


class AgainstServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.operator = Operator(os.environ["OPERATOR"], os.environ["TOKEN"])
        cls.results = Results(RESULT)
        cls.server = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()

    def made(self, poll, **more):
        options = [{"id": "tea", "label": "Tea"}, {"id": "coffee", "label": "Coffee"}]
        self.operator.put_poll({"id": poll, "title": "Tea or coffee?", "options": options, **more})
        voter = Voter(VOTE, key=new_key())
        until(lambda: voter.poll(poll))
        return voter

    def votes(self, poll):
        tally = self.results.tally(poll)
        return [option["votes"] for option in tally["options"]]

    def test_a_vote_counts_and_is_followed_and_the_poll_ends(self):
        voter = self.made("py-life")
        updates = self.results.follow("py-life")
        self.assertEqual(next(updates).tally["voters"], 0)
        first = voter.cast("py-life", ["tea"])
        second = voter.cast("py-life", ["coffee"])
        until(lambda: self.results.receipt(second["receipt"])["state"] == "counted")
        self.assertEqual(self.results.receipt(first["receipt"])["state"], "superseded")
        seen = next(update for update in updates if update.tally["options"][1]["votes"] == 1)
        self.assertTrue(seen.is_current)
        self.assertEqual(self.votes("py-life"), [0, 1])
        self.assertIn("py-life", [poll["id"] for poll in voter.polls()])
        self.assertTrue(voter.eligibility("py-life")["eligible"])
        with self.assertRaises(VotingProblem) as wrong:
            voter.cast("py-life", ["water"])
        self.assertEqual(wrong.exception.type, "urn:voting:problem:invalid-choice")
        voter.withdraw("py-life")
        until(lambda: self.votes("py-life") == [0, 0])
        self.assertEqual(self.operator.close_poll("py-life")["state"], "final")
        self.assertEqual(self.operator.poll("py-life")["state"], "final")
        self.assertEqual(list(updates)[-1].tally["state"], "final")

        def refused():
            try:
                voter.cast("py-life", ["tea"])
            except VotingProblem as problem:
                return problem.type
            return None

        self.assertEqual(until(refused), "urn:voting:problem:poll-closed")
        self.assertEqual(until(lambda: self.operator.pipeline()["pending"] == 0), True)

    def test_a_voter_is_remembered(self):
        self.made("py-kept")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "voter"
            for choice in ("tea", "coffee"):
                last = Voter.remembered(VOTE, file).cast("py-kept", [choice])
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
            self.assertEqual([path.name for path in Path(folder).iterdir()], ["voter"])
            until(lambda: self.results.receipt(last["receipt"])["state"] == "counted")
            self.assertEqual(self.votes("py-kept"), [0, 1])
            file.write_text("")
            with self.assertRaises(ValueError):
                Voter.remembered(VOTE, file)

    def test_a_ballot_whose_answer_is_lost_counts_once(self):
        self.made("py-lost")
        url = f"http://127.0.0.1:{self.server.server_port}"
        Flaky.refusals, Flaky.drops = 2, 1
        last = Voter(url, key=new_key()).cast("py-lost", ["tea"])
        self.assertEqual((Flaky.refusals, Flaky.drops), (0, 0))
        until(lambda: self.results.receipt(last["receipt"])["state"] in ("counted", "superseded"))
        until(lambda: self.operator.pipeline()["pending"] == 0)
        self.assertEqual(self.votes("py-lost"), [1, 0])
        Flaky.drops = 1
        with self.assertRaises(OutcomeUnknown):
            Voter(url, key=new_key(), patience=0).cast("py-lost", ["tea"])
        # A refusal says nothing about the try before it.
        voter, Flaky.drops = Voter(url, key=new_key()), 1
        Flaky.then_refuses = True
        with self.assertRaises(OutcomeUnknown) as unknown:
            voter.cast("py-lost", ["tea"])
        self.assertIsInstance(unknown.exception.__cause__, VotingProblem)
        Flaky.then_refuses = False

    def test_voters_that_share_a_client_share_no_session(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Sessions)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with httpx.Client() as http:
            anna, ben = (Voter(url, token=token, http=http) for token in ("anna", "ben"))
            for voter, cookie in ((anna, "anna"), (ben, "ben"), (anna, "anna")):
                self.assertEqual(voter.cast("p", ["tea"])["receipt"], f"session={cookie}")
            anyone = Voter(url, key=new_key(), http=http)
            self.assertIsNone(anyone.cast("p", ["tea"])["receipt"])
            # A page that somebody puts between says nothing about the ballot.
            with self.assertRaises(OutcomeUnknown):
                anyone.cast("page", ["tea"])
        server.shutdown()

    def test_a_hidden_result_is_a_problem(self):
        self.made("py-hidden", results="after_close")
        for ask in (
            lambda: self.results.tally("py-hidden"),
            lambda: next(self.results.follow("py-hidden")),
        ):
            with self.assertRaises(VotingProblem) as hidden:
                until(ask)
            self.assertEqual(hidden.exception.type, "urn:voting:problem:result-hidden")

    def test_a_voter_is_named_in_one_way(self):
        for named in ({}, {"key": new_key(), "code": "x"}):
            with self.assertRaises(ValueError):
                Voter(VOTE, **named)
        with self.assertRaises(TypeError):
            Voter(VOTE, key=new_key()).cast("py-life", "tea")


if __name__ == "__main__":
    unittest.main()
