import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./generated/operator.js";
import { OutcomeUnknown, VotingProblem } from "./problem.js";
import { LONGEST_ASKED, Pauses, patientFetch, sleep, type TransportOptions } from "./transport.js";

export type CountedPoll = components["schemas"]["CountedPoll"];
export type Event = components["schemas"]["Event"];
export type NewPoll = components["schemas"]["NewPoll"];
export type Pipeline = components["schemas"]["Pipeline"];
export type StoredPoll = components["schemas"]["StoredPoll"];

/** The seconds that one request waits for an event: less than one try may take. */
const WAIT = 5;

/** The operator's API, for whoever has a token. */
export class Operator {
  /**
   * All operations of the API, typed. It throws `VotingProblem` for an answer that is no success. A request may be sent again if
   * no answer comes, so use it for operations that have the same effect twice. For others, such as a new webhook, use an `Operator` with
   * `patience: 0`: it sends each request once.
   */
  readonly api: Client<paths>;

  constructor(url: string, token: string, options: TransportOptions = {}) {
    const headers = { Authorization: `Bearer ${token}` };
    this.api = createClient<paths>({ baseUrl: url, fetch: patientFetch(options), headers, credentials: "omit" });
  }

  /** Makes the poll, or changes what may be changed of it. */
  async putPoll(poll: NewPoll): Promise<StoredPoll> {
    const answer = await this.api.PUT("/v1/polls/{poll}", { ...at(poll.id), body: poll });
    return answer.data as StoredPoll;
  }

  /** One poll, also a draft or an archived one, with its state and turnout. */
  async poll(poll: string): Promise<CountedPoll> {
    const answer = await this.api.GET("/v1/polls/{poll}", at(poll));
    return answer.data as CountedPoll;
  }

  /**
   * Closes the poll for good. Resolves once its count is final, and throws if it is not after `patience` milliseconds. It becomes final
   * by itself then.
   */
  async closePoll(poll: string, patience = 60_000): Promise<StoredPoll> {
    const ends = Date.now() + patience;
    for (;;) {
      const answer = await this.api.POST("/v1/polls/{poll}/close", at(poll));
      const closed = answer.data as StoredPoll;
      if (closed.state === "final" || closed.state === "archived") return closed;
      if (Date.now() > ends) throw new Error(`the poll ${poll} is closing, and not yet final`);
      await sleep(200);
    }
  }

  /**
   * What happens, in order: each event after this number, and then each new one, until the caller leaves the loop, or the signal says so.
   *
   * Keep the `number` of the last event that you have dealt with, and begin after it the next time. A service that does not answer is asked
   * again. Throws `VotingProblem` if events after this number are not kept any more (its type is `urn:voting:problem:events-gone`), or if the
   * token may not read them.
   */
  async *events(after = 0, signal?: AbortSignal): AsyncGenerator<Event, void, undefined> {
    const waits = new Pauses(1_000, 30_000);
    for (;;) {
      let part: Event[] | undefined;
      let asked = 0;
      try {
        const query = { after, wait: WAIT };
        const answer = await this.api.GET("/v1/events", { params: { query }, ...(signal && { signal }) });
        part = answer.data?.events;
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof VotingProblem) {
          if (error.status < 500 && error.status !== 429) throw error;
          asked = Math.min(error.retryAfter, LONGEST_ASKED);
        } else if (!(error instanceof OutcomeUnknown)) {
          throw error;
        }
      }
      if (part === undefined) {
        await sleep(Math.max(asked, waits.next()), signal);
        continue;
      }
      waits.reset();
      for (const event of part) {
        after = event.number;
        yield event;
      }
    }
  }

  /** How many ballots are in each state. */
  async pipeline(): Promise<Pipeline> {
    const answer = await this.api.GET("/v1/pipeline");
    return answer.data as Pipeline;
  }
}

function at(poll: string) {
  return { params: { path: { poll } } };
}
