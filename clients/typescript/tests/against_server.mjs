// Uses the built package against running services. VOTE, RESULT, OPERATOR and TOKEN name them.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Operator, OutcomeUnknown, Results, Voter, VotingProblem, newKey } from "../dist/index.js";

const { VOTE, RESULT, OPERATOR, TOKEN } = process.env;
const operator = new Operator(OPERATOR, TOKEN);
const results = new Results(RESULT);

async function until(ask) {
  const ends = Date.now() + 30_000;
  while (Date.now() < ends) {
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      if (error.status !== 404) throw error;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error("waited in vain");
}

async function made(id, more = {}) {
  const options = [
    { id: "tea", label: "Tea" },
    { id: "coffee", label: "Coffee" },
  ];
  await operator.putPoll({ id, title: "Tea or coffee?", options, ...more });
  const voter = new Voter(VOTE, { key: newKey() });
  await until(() => voter.poll(id));
  return voter;
}

const votes = async (poll) => (await results.tally(poll)).options.map((option) => option.votes);
const isCounted = async (ballot) => (await results.receipt(ballot.receipt)).state === "counted";

/** Answers 503 `refusals` times, and then hands requests on; drops `drops` connections after the service has answered. */
const flaky = { refusals: 0, drops: 0, thenRefuses: false, server: undefined, url: "" };

before(async () => {
  flaky.server = createServer(async (request, answer) => {
    const body = [];
    for await (const piece of request) body.push(piece);
    if (flaky.refusals > 0) {
      flaky.refusals -= 1;
      answer.writeHead(503, { "retry-after": "0" }).end();
      return;
    }
    const headers = {};
    for (const name of ["content-type", "idempotency-key"]) {
      if (request.headers[name]) headers[name] = request.headers[name];
    }
    const told = await fetch(VOTE + request.url, { method: request.method, headers, body: Buffer.concat(body) });
    const text = await told.text();
    if (flaky.drops > 0) {
      flaky.drops -= 1;
      request.socket.destroy();
      return;
    }
    if (flaky.thenRefuses) {
      answer.writeHead(409).end();
      return;
    }
    answer.writeHead(told.status, { "content-type": told.headers.get("content-type") }).end(text);
  });
  await new Promise((done) => flaky.server.listen(0, "127.0.0.1", done));
  flaky.url = `http://127.0.0.1:${flaky.server.address().port}`;
});

after(() => flaky.server.close());

test("a vote counts and is followed, and the poll ends", async () => {
  const poll = "ts-life";
  const voter = await made(poll);
  const updates = results.follow(poll);
  assert.equal((await updates.next()).value.tally.voters, 0);
  // The newer one is sent after the older one.
  const [first, second] = await Promise.all([voter.cast(poll, ["tea"]), voter.cast(poll, ["coffee"])]);
  await until(() => isCounted(second));
  assert.equal((await results.receipt(first.receipt)).state, "superseded");
  for await (const { tally, isCurrent } of updates) {
    if (tally.options[1].votes !== 1) continue;
    assert.ok(isCurrent);
    break;
  }
  const followed = results.follow(poll);
  assert.deepEqual(await votes(poll), [0, 1]);
  assert.ok((await voter.polls()).some(({ id }) => id === poll));
  assert.equal((await voter.eligibility(poll)).eligible, true);
  await assert.rejects(voter.cast(poll, ["water"]), { type: "urn:voting:problem:invalid-choice" });
  await voter.withdraw(poll);
  await until(async () => (await votes(poll)).join() === "0,0");
  assert.equal((await operator.closePoll(poll)).state, "final");
  assert.equal((await operator.poll(poll)).state, "final");
  let last;
  for await (const { tally } of followed) last = tally;
  assert.equal(last.state, "final");
  const refused = await until(() => voter.cast(poll, ["tea"]).then(() => undefined, (error) => error));
  assert.ok(refused instanceof VotingProblem);
  assert.equal(refused.type, "urn:voting:problem:poll-closed");
  await until(async () => (await operator.pipeline()).pending === 0);
});

test("a voter is remembered", async () => {
  await made("ts-kept");
  const kept = new Map();
  const store = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => void kept.set(name, value) };
  let last;
  for (const choice of ["tea", "coffee"]) last = await Voter.remembered(VOTE, store).cast("ts-kept", [choice]);
  await until(() => isCounted(last));
  assert.deepEqual(await votes("ts-kept"), [0, 1]);
  assert.throws(() => Voter.remembered(VOTE, { getItem: () => null, setItem: () => {} }));
});

test("a ballot whose answer is lost counts once", async () => {
  await made("ts-lost");
  Object.assign(flaky, { refusals: 2, drops: 1 });
  const last = await new Voter(flaky.url, { key: newKey() }).cast("ts-lost", ["tea"]);
  assert.deepEqual([flaky.refusals, flaky.drops], [0, 0]);
  await until(async () => (await results.receipt(last.receipt)).state !== "pending");
  await until(async () => (await operator.pipeline()).pending === 0);
  assert.deepEqual(await votes("ts-lost"), [1, 0]);
  flaky.drops = 1;
  const impatient = new Voter(flaky.url, { key: newKey() }, { patience: 0 });
  await assert.rejects(impatient.cast("ts-lost", ["tea"]), OutcomeUnknown);
  // A refusal says nothing about the try before it.
  Object.assign(flaky, { drops: 1, thenRefuses: true });
  const refused = new Voter(flaky.url, { key: newKey() });
  await assert.rejects(refused.cast("ts-lost", ["tea"]), OutcomeUnknown);
  // A page that somebody puts between says nothing about the ballot.
  const page = async () => new Response("<h1>Sign in", { headers: { "content-type": "text/html" } });
  await assert.rejects(new Voter(VOTE, { key: newKey() }, { fetch: page }).cast("ts-lost", ["tea"]), OutcomeUnknown);
});

test("events come in order and go on", async () => {
  await made("ts-told");
  const numbers = [];
  for await (const event of operator.events()) {
    numbers.push(event.number);
    if (event.type === "poll.opened" && event.poll === "ts-told") break;
  }
  assert.deepEqual(numbers, numbers.map((_, index) => index + 1));
  await assert.rejects(operator.events(1_000_000_000).next(), { type: "urn:voting:problem:events-gone" });
  await operator.closePoll("ts-told");
  for await (const event of operator.events(numbers.at(-1))) {
    if (event.type !== "poll.final") continue;
    assert.equal(event.poll, "ts-told");
    break;
  }
});

test("a hidden result is a problem", async () => {
  await made("ts-hidden", { results: "after_close" });
  const hidden = { type: "urn:voting:problem:result-hidden" };
  await assert.rejects(until(() => results.tally("ts-hidden")), hidden);
  await assert.rejects(until(() => results.follow("ts-hidden").next()), hidden);
});

test("whoever follows a result can stop", async () => {
  await made("ts-stopped");
  const stop = new AbortController();
  const updates = results.follow("ts-stopped", { signal: stop.signal });
  await updates.next();
  stop.abort();
  await assert.rejects(updates.next(), { name: "AbortError" });
});

/** A server that is asked nothing else than what `answers` says. */
async function serving(answers) {
  const server = createServer(answers);
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

test("no secret goes where a redirect leads", async () => {
  let asked = 0;
  const elsewhere = await serving((_, answer) => {
    asked += 1;
    answer.end();
  });
  let status;
  const away = await serving((_, answer) => answer.writeHead(status, { location: `${elsewhere.url}/there` }).end());
  const { url } = away;
  const voters = [{ key: newKey() }, { code: "code" }, { token: "a.b.c" }].map((name) => new Voter(url, name));
  const behind = new Results(url);
  for (status of [301, 302, 303, 307, 308]) {
    for (const ask of [
      ...voters.map((voter) => () => voter.cast("p", ["tea"])),
      () => behind.tally("p", { grant: "grant" }),
      () => behind.follow("p", { grant: "grant" }).next(),
      () => new Operator(url, "token").pipeline(),
    ]) {
      await assert.rejects(ask(), (error) => error instanceof VotingProblem && error.status === status && error.message.includes(elsewhere.url));
    }
  }
  assert.equal(asked, 0);
  away.close();
  elsewhere.close();
});

test("a long wait is told and not waited for", async () => {
  let asked = 0;
  let sent;
  const busy = await serving((_, answer) => {
    asked += 1;
    // Without a date of its own.
    answer.sendDate = false;
    answer.writeHead(503, sent).end();
  });
  const behind = new Results(busy.url);
  const date = { date: "Sun, 06 Nov 1994 08:49:37 GMT", "retry-after": "Sun, 06 Nov 1994 09:49:37 GMT" };
  for (sent of [{ "retry-after": "3600" }, date]) {
    asked = 0;
    await assert.rejects(behind.tally("p"), { status: 503, retryAfter: 3_600_000, message: /asks to wait 3600 s/ });
    assert.equal(asked, 1);
  }
  // It is not known whether a proxy has handed the ballot on.
  await assert.rejects(new Voter(busy.url, { key: newKey() }).cast("p", ["tea"]), (error) => error instanceof OutcomeUnknown && error.cause.retryAfter === 3_600_000);
  // Whoever follows a result is held up for some minutes at most, and does not ask at once.
  sent = { "retry-after": "9".repeat(400) };
  const real = globalThis.setTimeout;
  const waits = [];
  const stop = new AbortController();
  globalThis.setTimeout = (then, ms, ...more) => {
    waits.push(ms);
    if (ms === 300_000) queueMicrotask(() => stop.abort());
    return real(then, ms, ...more);
  };
  try {
    await assert.rejects(behind.follow("p", { signal: stop.signal }).next(), { name: "AbortError" });
  } finally {
    globalThis.setTimeout = real;
  }
  assert.ok(waits.includes(300_000));
  busy.close();
});
