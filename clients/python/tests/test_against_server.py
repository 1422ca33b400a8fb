"""Uses the package against running services. VOTE, RESULT, OPERATOR and TOKEN name them."""

import contextlib
import json
import os
import socket
import stat
import tempfile
import threading
import time
import unittest
import unittest.mock
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


class Elsewhere(BaseHTTPRequestHandler):
    """Is asked by nobody who keeps a secret."""

    asked = 0

    def _answers(self):
        type(self).asked += 1
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_DELETE = _answers

    def log_message(self, *_):
        pass


class Away(BaseHTTPRequestHandler):
    """Answers with a redirect, or asks to wait."""

    status, headers_sent = 302, {}
    asked = 0

    def _answers(self):
        type(self).asked += 1
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response_only(type(self).status)
        for name, value in type(self).headers_sent.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_DELETE = _answers

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


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

    def test_events_come_in_order_and_go_on(self):
        self.made("py-told")
        numbers = []
        for event in self.operator.events():
            numbers.append(event["number"])
            if event["type"] == "poll.opened" and event.get("poll") == "py-told":
                break
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        following = self.operator.events(after=numbers[-1])
        with self.assertRaises(VotingProblem) as gone:
            next(self.operator.events(after=10**9))
        self.assertEqual(gone.exception.type, "urn:voting:problem:events-gone")
        self.operator.close_poll("py-told")
        final = next(event for event in following if event["type"] == "poll.final")
        self.assertEqual(final["poll"], "py-told")

    def test_a_hidden_result_is_a_problem(self):
        self.made("py-hidden", results="after_close")
        for ask in (
            lambda: self.results.tally("py-hidden"),
            lambda: next(self.results.follow("py-hidden")),
        ):
            with self.assertRaises(VotingProblem) as hidden:
                until(ask)
            self.assertEqual(hidden.exception.type, "urn:voting:problem:result-hidden")

    def test_no_secret_goes_where_a_redirect_leads(self):
        with serving(Elsewhere) as elsewhere, serving(Away) as url:
            # A client that follows redirects.
            with httpx.Client(follow_redirects=True) as http:
                named = ({"key": new_key()}, {"code": "code"}, {"token": "a.b.c"})
                voters = [Voter(url, http=http, **name) for name in named]
                results, operator = Results(url, http=http), Operator(url, "token", http=http)
                asks = [
                    *(lambda voter=voter: voter.cast("p", ["tea"]) for voter in voters),
                    lambda: results.tally("p", grant="grant"),
                    lambda: next(results.follow("p", grant="grant")),
                    operator.pipeline,
                ]
                for status in (301, 302, 303, 307, 308):
                    Away.status, Away.headers_sent = status, {"location": f"{elsewhere}/there"}
                    for ask in asks:
                        with self.assertRaises(VotingProblem) as away:
                            ask()
                        self.assertEqual(away.exception.status, status)
                        self.assertIn(elsewhere, str(away.exception))
        self.assertEqual(Elsewhere.asked, 0)

    def test_a_long_wait_is_told_and_not_waited_for(self):
        date = {
            "date": "Sun, 06 Nov 1994 08:49:37 GMT",
            "retry-after": "Sun, 06 Nov 1994 09:49:37 GMT",
        }
        with serving(Away) as url:
            results = Results(url)
            for status, headers in ((429, {"retry-after": "3600"}), (503, date)):
                Away.status, Away.headers_sent, Away.asked = status, headers, 0
                with self.assertRaises(VotingProblem) as busy:
                    results.tally("p")
                self.assertEqual(busy.exception.retry_after, 3600)
                self.assertIn("asks to wait 3600 s", str(busy.exception))
                self.assertEqual(Away.asked, 1)
            # It is not known whether a proxy has handed the ballot on.
            with self.assertRaises(OutcomeUnknown) as unknown:
                Voter(url, key=new_key()).cast("p", ["tea"])
            self.assertEqual(unknown.exception.__cause__.retry_after, 3600)
            # Whoever follows a result is not held up for longer than some minutes.
            Away.headers_sent = {"retry-after": "9" * 400}
            slept = []

            class Enough(Exception):
                pass

            def sleep(seconds):
                slept.append(seconds)
                raise Enough

            with unittest.mock.patch("voting_client.results.time.sleep", sleep):
                with self.assertRaises(Enough):
                    next(results.follow("p"))
            self.assertEqual(slept, [300])

    def test_a_voter_is_named_in_one_way(self):
        for named in ({}, {"key": new_key(), "code": "x"}):
            with self.assertRaises(ValueError):
                Voter(VOTE, **named)
        with self.assertRaises(TypeError):
            Voter(VOTE, key=new_key()).cast("py-life", "tea")


if __name__ == "__main__":
    unittest.main()
