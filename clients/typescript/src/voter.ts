import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./generated/vote.js";
import { OutcomeUnknown, VotingProblem } from "./problem.js";
import { patientFetch, type TransportOptions } from "./transport.js";

export type Accepted = components["schemas"]["Accepted"];
export type Eligibility = components["schemas"]["Eligibility"];
export type Poll = components["schemas"]["Poll"];
export type Withdrawn = components["schemas"]["Withdrawn"];

/**
 * How a voter is known: by a key from `newKey()`, in polls for everybody; by a code, in one poll with codes; or by a JSON Web Token of
 * the deployment's identity provider, in polls whose voters sign in.
 */
export type Identity = { key: string } | { code: string } | { token: string };

/** Where a key is kept, such as `localStorage`. */
export interface KeyStore {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
}

/** A key of a new voter: 256 random bits. Keep it as secret as a password. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * One voter, in all polls of a deployment.
 *
 * A ballot is sent again while the service cannot be reached. This is safe: the voter has one ballot in a poll, and the last choice
 * counts. Ballots of one `Voter` are sent one after the other, so an older choice never takes the place of a newer one.
 */
export class Voter {
  readonly #client: Client<paths>;
  readonly #headers: Record<string, string> = {};
  readonly #token: string | undefined;
  /** The cookie of the session in each poll. A browser keeps it by itself and does not show it: there it is empty. */
  readonly #sessions = new Map<string, string>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(url: string, identity: Identity, options: TransportOptions = {}) {
    if ("key" in identity) this.#headers["Idempotency-Key"] = identity.key;
    else if ("code" in identity) this.#headers["Voter-Code"] = identity.code;
    else this.#token = identity.token;
    // A cookie of the page's own visitor would name another voter.
    const credentials = this.#token === undefined ? "omit" : "include";
    this.#client = createClient<paths>({ baseUrl: url, fetch: patientFetch(options), credentials });
  }

  /** The voter whose key is kept under `voting-key` in this store. A new voter if there is none. */
  static remembered(url: string, store: KeyStore, options: TransportOptions = {}): Voter {
    let key = store.getItem("voting-key");
    if (key === null) {
      store.setItem("voting-key", newKey());
      key = store.getItem("voting-key");
    }
    if (!key) throw new Error("the store does not keep the voter's key");
    return new Voter(url, { key }, options);
  }

  /**
   * Casts the ballot, in place of any earlier one of this voter. `[]` is a blank vote, where the poll allows it.
   *
   * Resolves once the ballot is durable. Throws `VotingProblem` if it was refused, and `OutcomeUnknown` if no answer came.
   */
  cast(poll: string, choices: readonly string[]): Promise<Accepted> {
    return this.#asVoter(poll, async (headers) => {
      const body = { choices: [...choices] };
      const answer = await this.#client.PUT("/v1/polls/{poll}/ballot", { ...at(poll), body, headers });
      return answer.data as Accepted;
    });
  }

  /** Takes the ballot back. */
  withdraw(poll: string): Promise<Withdrawn> {
    return this.#asVoter(poll, async (headers) => {
      const answer = await this.#client.DELETE("/v1/polls/{poll}/ballot", { ...at(poll), headers });
      return answer.data as Withdrawn;
    });
  }

  /** Whether this voter may vote in the poll now. */
  eligibility(poll: string): Promise<Eligibility> {
    return this.#asVoter(poll, async (headers) => {
      const answer = await this.#client.GET("/v1/polls/{poll}/eligibility", { ...at(poll), headers });
      return answer.data as Eligibility;
    });
  }

  /** The polls that are listed. */
  async polls(): Promise<Poll[]> {
    const answer = await this.#client.GET("/v1/polls");
    return answer.data?.polls ?? [];
  }

  /** One poll, with its options. */
  async poll(poll: string): Promise<Poll> {
    const answer = await this.#client.GET("/v1/polls/{poll}", at(poll));
    return answer.data as Poll;
  }

  #asVoter<T>(poll: string, ask: (headers: Record<string, string>) => Promise<T>): Promise<T> {
    const asked = this.#last.then(async () => {
      try {
        return await ask(await this.#named(poll));
      } catch (error) {
        // Whatever else went wrong, a ballot may be stored: the answer may be cut off, or a proxy's.
        if (!(error instanceof VotingProblem || error instanceof OutcomeUnknown)) throw new OutcomeUnknown(`a request in the poll ${poll}`, error);
        // The session has ended. Another one is of the same voter.
        const isSession = this.#token !== undefined && error instanceof VotingProblem && error.status === 401;
        if (!isSession) throw error;
        this.#sessions.delete(poll);
        return ask(await this.#named(poll));
      }
    });
    this.#last = asked.catch(() => {});
    return asked;
  }

  /** The headers that name the voter. */
  async #named(poll: string): Promise<Record<string, string>> {
    if (this.#token === undefined) return this.#headers;
    let cookie = this.#sessions.get(poll);
    if (cookie === undefined) {
      const headers = { Authorization: `Bearer ${this.#token}` };
      const { response } = await this.#client.POST("/v1/session", { body: { poll }, headers });
      cookie = response.headers.getSetCookie().map((set) => set.split(";")[0]).join("; ");
      this.#sessions.set(poll, cookie);
    }
    return cookie === "" ? {} : { Cookie: cookie };
  }
}

function at(poll: string) {
  return { params: { path: { poll } } };
}
