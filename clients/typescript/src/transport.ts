import { OutcomeUnknown, VotingProblem, problemOf } from "./problem.js";

/** Settings that all parts have. */
export interface TransportOptions {
  /** For how many milliseconds a request is sent again while no answer comes, or one that says to try again: 30,000 by default. */
  patience?: number;
  /** Sends the requests, in place of the global `fetch`. */
  fetch?: typeof fetch;
}

/** A proxy, or a service that starts or stops, answers with one of these. */
const TRY_AGAIN: readonly number[] = [429, 502, 503, 504];

/** How long one try may take, in ms. */
const ONE_TRY = 10_000;

/** How long to wait before each further try, in ms: longer each time, and not at the same moment as others. */
export class Pauses {
  #next: number;

  constructor(
    private readonly first = 200,
    private readonly longest = 5_000,
  ) {
    this.#next = first;
  }

  next(): number {
    const pause = this.#next * (0.5 + Math.random() / 2);
    this.#next = Math.min(this.#next * 2, this.longest);
    return pause;
  }

  reset(): void {
    this.#next = this.first;
  }
}

/** Whoever follows a result asks again after this time, in ms, however long the service asks to wait. */
export const LONGEST_ASKED = 300_000;

/** A timer with more ms ends at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The milliseconds that an answer asks to wait; 0 if it names none. */
export function retryAfter(answer: Response): number {
  const text = (answer.headers.get("retry-after") ?? "").trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const until = Date.parse(text);
  // By the clock that has set the time. A page of another origin may not see it.
  const now = Date.parse(answer.headers.get("date") ?? "");
  const wait = until - (Number.isNaN(now) ? Date.now() : now);
  return wait > 0 ? wait : 0;
}

/** Waits, or throws the signal's reason. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      fail(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      done();
    }, Math.min(ms, LONGEST_TIMER));
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * A `fetch` for requests that have the same effect however often they are sent. It sends again while no answer comes, or one that
 * says to try again. It throws a `VotingProblem` for any other answer that is no success, and `OutcomeUnknown` if one of the tries may have
 * done what was asked. It follows no redirect: the key, code or token of a request is for the service of this address alone.
 */
export function patientFetch(options: TransportOptions): (request: Request) => Promise<Response> {
  const patience = options.patience ?? 30_000;
  return async (request) => {
    const send = options.fetch ?? globalThis.fetch;
    const ends = Date.now() + patience;
    const waits = new Pauses();
    // Whether a try may have done what was asked, although nobody has said so.
    let isInDoubt = false;
    for (;;) {
      let failed: unknown;
      let isFinal = false;
      let pause = 0;
      try {
        const signal = AbortSignal.any([request.signal, AbortSignal.timeout(ONE_TRY)]);
        const answer = await send(new Request(request.clone(), { signal, redirect: "manual" }));
        if (answer.ok) return answer;
        pause = retryAfter(answer);
        const problem = await problemOf(answer, pause);
        isInDoubt ||= problem.mayBeDone;
        isFinal = !TRY_AGAIN.includes(answer.status) || "challenge" in problem.document;
        failed = problem;
      } catch (error) {
        request.signal.throwIfAborted();
        isInDoubt = true;
        failed = error;
      }
      pause = Math.max(pause, waits.next());
      if (isFinal || Date.now() + pause > ends) {
        const isRefused = failed instanceof VotingProblem && !(isInDoubt && request.method !== "GET");
        throw isRefused ? failed : new OutcomeUnknown(`${request.method} ${new URL(request.url).pathname}`, failed);
      }
      await sleep(pause, request.signal);
    }
  };
}
