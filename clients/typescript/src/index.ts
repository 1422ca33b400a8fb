export { Operator } from "./operator.js";
export type { CountedPoll, Event, NewPoll, Pipeline, StoredPoll } from "./operator.js";
export { OutcomeUnknown, VotingProblem } from "./problem.js";
export { Results } from "./results.js";
export type { Receipt, Tally, Update } from "./results.js";
export { Voter, newKey } from "./voter.js";
export type { Accepted, Eligibility, Identity, KeyStore, Poll, Withdrawn } from "./voter.js";
export { InvalidWebhook, verifyWebhook } from "./webhook.js";
export type { WebhookHeaders, WebhookOptions } from "./webhook.js";
