// Votes, reads, creates and closes a poll with a client whose types were generated from the documents.
import createClient from "openapi-fetch";
import type { paths as Operator } from "./operator.js";
import type { paths as Result } from "./result.js";
import type { paths as Vote } from "./vote.js";

declare const process: { env: Record<string, string> };

const poll = "typescript";
const path = { params: { path: { poll } } };
const operator = createClient<Operator>({
  baseUrl: process.env.OPERATOR,
  headers: { Authorization: `Bearer ${process.env.TOKEN}` },
});
const vote = createClient<Vote>({ baseUrl: process.env.VOTE });
const result = createClient<Result>({ baseUrl: process.env.RESULT });

function check(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

async function until(ask: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await ask()) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("waited in vain");
}

const made = await operator.POST("/v1/polls", {
  body: {
    id: poll,
    title: "Tea or coffee?",
    max_choices: 1,
    options: [
      { id: "tea", label: "Tea" },
      { id: "coffee", label: "Coffee" },
    ],
  },
});
check(made.data?.state === "open", made.error);
await until(async () => (await vote.GET("/v1/polls/{poll}", path)).response.ok);

const first = await vote.PUT("/v1/polls/{poll}/ballot", { ...path, body: { choices: ["tea"] } });
check(first.data !== undefined, first.error);
// Outside a browser the program keeps the voter's cookie itself.
const cookie = first.response.headers.getSetCookie()[0].split(";")[0];
const headers = { Cookie: cookie };
const second = await vote.PUT("/v1/polls/{poll}/ballot", { ...path, body: { choices: ["coffee"] }, headers });
check(second.data !== undefined, second.error);
const wrong = await vote.PUT("/v1/polls/{poll}/ballot", { ...path, body: { choices: ["water"] }, headers });
check(wrong.error?.type === "urn:voting:problem:invalid-choice", wrong.error);

const { receipt } = second.data;
await until(async () => {
  const told = await result.GET("/v1/receipts/{receipt}", { params: { path: { receipt } } });
  return told.data?.state === "counted";
});
const tally = await result.GET("/v1/polls/{poll}/tally", path);
check(tally.data?.voters === 1, tally);
check(tally.data.options.map((option) => option.votes).join() === "0,1", tally.data);

await operator.POST("/v1/polls/{poll}/close", path);
await until(async () => (await operator.POST("/v1/polls/{poll}/close", path)).data?.state === "final");
const late = await vote.PUT("/v1/polls/{poll}/ballot", { ...path, body: { choices: ["tea"] }, headers });
check(late.error?.type === "urn:voting:problem:poll-closed", late.error);
console.log("typescript: ok");
