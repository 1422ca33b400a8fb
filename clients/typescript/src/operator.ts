import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./generated/operator.js";
import { patientFetch, sleep, type TransportOptions } from "./transport.js";

export type CountedPoll = components["schemas"]["CountedPoll"];
export type NewPoll = components["schemas"]["NewPoll"];
export type Pipeline = components["schemas"]["Pipeline"];
export type StoredPoll = components["schemas"]["StoredPoll"];

/** The operator's API, for whoever has a token. */
export class Operator {
  /**
   * All operations of the API, typed. It throws `VotingProblem` for an answer that is no success. A request may be sent again if
   * no answer comes, so use it for operations that have the same effect twice.
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

  /** How many ballots are in each state. */
  async pipeline(): Promise<Pipeline> {
    const answer = await this.api.GET("/v1/pipeline");
    return answer.data as Pipeline;
  }
}

function at(poll: string) {
  return { params: { path: { poll } } };
}
