import { EventSourceParserStream } from "eventsource-parser/stream";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./generated/result.js";
import { VotingProblem, problemOf } from "./problem.js";
import { LONGEST_ASKED, Pauses, patientFetch, retryAfter, sleep, type TransportOptions } from "./transport.js";

export type Receipt = components["schemas"]["Receipt"];
export type Tally = components["schemas"]["Tally"];

/** The service sends something every 15 seconds. A stream that is silent for this long, in ms, is broken. */
const SILENCE = 40_000;

/** What is known of a result. */
export interface Update {
  tally: Tally;
  /** Whether this is the newest tally: false while the connection is broken, or while the service cannot read the tally. */
  isCurrent: boolean;
}

/** How a result is asked for. */
export interface ResultOptions {
  /** Opens a result that is shown after a vote: `cast` returns it, and it is valid for a minute. */
  grant?: string;
  /** Ends the request. */
  signal?: AbortSignal;
}

/** The results of a deployment's polls. */
export class Results {
  readonly #client: Client<paths>;
  readonly #url: string;
  readonly #options: TransportOptions;

  constructor(url: string, options: TransportOptions = {}) {
    this.#url = url.replace(/\/+$/, "");
    this.#options = options;
    this.#client = createClient<paths>({ baseUrl: this.#url, fetch: patientFetch(options), credentials: "omit" });
  }

  /** The tally now. */
  async tally(poll: string, options: ResultOptions = {}): Promise<Tally> {
    const more = { headers: headers(options), ...(options.signal && { signal: options.signal }) };
    const answer = await this.#client.GET("/v1/polls/{poll}/tally", { params: { path: { poll } }, ...more });
    return answer.data as Tally;
  }

  /** What became of a ballot. */
  async receipt(receipt: string): Promise<Receipt> {
    const answer = await this.#client.GET("/v1/receipts/{receipt}", { params: { path: { receipt } } });
    return answer.data as Receipt;
  }

  /**
   * The tally, and each change of it, until the poll is final, the caller leaves the loop, or the signal says so.
   *
   * A broken connection is opened again, after 5 minutes at most, however long the service asks to wait. Throws `VotingProblem` if the service refuses, or if the result is no longer shown.
   */
  async *follow(poll: string, options: ResultOptions = {}): AsyncGenerator<Update, void, undefined> {
    const url = `${this.#url}/v1/polls/${encodeURIComponent(poll)}/tally/events`;
    const waits = new Pauses(1_000, 30_000);
    let known: Tally | undefined;
    for (;;) {
      options.signal?.throwIfAborted();
      let pause = 0;
      const silent = new AbortController();
      let silence = setTimeout(() => silent.abort(), SILENCE);
      const heard = (): void => {
        clearTimeout(silence);
        silence = setTimeout(() => silent.abort(), SILENCE);
      };
      try {
        const signal = options.signal ? AbortSignal.any([options.signal, silent.signal]) : silent.signal;
        const send = this.#options.fetch ?? globalThis.fetch;
        const answer = await send(url, { headers: headers(options), credentials: "omit", cache: "no-store", redirect: "manual", signal });
        if (answer.ok && answer.body) {
          for await (const event of eventsOf(answer.body)) {
            heard();
            waits.reset();
            if (event.event === "tally") {
              known = JSON.parse(event.data) as Tally;
              yield { tally: known, isCurrent: true };
              if (known.state === "final" || known.state === "archived") return;
            } else if (event.event === "stalled" && known) {
              yield { tally: known, isCurrent: false };
            } else if (event.event === "hidden") {
              const document = JSON.parse(event.data) as Record<string, unknown>;
              throw new VotingProblem(typeof document.status === "number" ? document.status : 403, document);
            }
          }
        } else if (answer.status < 500 && answer.status !== 429) {
          throw await problemOf(answer);
        } else {
          pause = Math.min(retryAfter(answer), LONGEST_ASKED);
          await answer.body?.cancel();
        }
      } catch (error) {
        if (error instanceof VotingProblem) throw error;
        options.signal?.throwIfAborted();
        // The connection is broken.
      } finally {
        clearTimeout(silence);
        silent.abort();
      }
      if (known) yield { tally: known, isCurrent: false };
      await sleep(Math.max(pause, waits.next()), options.signal);
    }
  }
}

async function* eventsOf(body: ReadableStream<Uint8Array>) {
  const text = body.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>);
  const reader = text.pipeThrough(new EventSourceParserStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function headers(options: ResultOptions): Record<string, string> {
  return options.grant === undefined ? {} : { "Result-Grant": options.grant };
}
