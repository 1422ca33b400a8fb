/** The problems of the service with a status of 500 or more with which it says that nothing was stored. */
const NOTHING_STORED = ["overloaded", "not-stored", "foreign-secret"].map((kind) => `urn:voting:problem:${kind}`);

/** The service refused a request. The request changed nothing. */
export class VotingProblem extends Error {
  /** The kind of the problem, such as `urn:voting:problem:poll-closed`. */
  readonly type: string;
  /** Whether the request may have been carried out all the same: a proxy may say so, or the service. */
  readonly mayBeDone: boolean;

  constructor(
    /** The status of the answer; 0 for a redirect in a browser. */
    readonly status: number,
    /** The problem document (RFC 9457); empty if the answer has none. */
    readonly document: Record<string, unknown>,
    /** The milliseconds that the service asks to wait before the next try; 0 if it names none. */
    readonly retryAfter = 0,
  ) {
    const text = (name: string): string | undefined => {
      const value = document[name];
      return typeof value === "string" ? value : undefined;
    };
    const asks = retryAfter > 0 ? ` (asks to wait ${Math.ceil(retryAfter / 1000)} s)` : "";
    super((text("detail") ?? text("title") ?? `status ${status}`) + asks);
    this.name = "VotingProblem";
    this.type = text("type") ?? "about:blank";
    this.mayBeDone = status >= 500 && !NOTHING_STORED.includes(this.type);
  }
}

/**
 * No answer came, or one of a proxy, so it is not known whether the service did what was asked.
 *
 * It is safe to ask for the same again: a voter has one ballot, and the last one counts.
 */
export class OutcomeUnknown extends Error {
  constructor(request: string, cause: unknown) {
    super(`it is not known what became of ${request}`, { cause });
    this.name = "OutcomeUnknown";
  }
}

/** The problem that an answer tells of. */
export async function problemOf(answer: Response, retryAfter = 0): Promise<VotingProblem> {
  // A browser does not say where it leads, and its status is 0 there.
  if (answer.type === "opaqueredirect" || (answer.status >= 300 && answer.status < 400)) {
    await answer.body?.cancel();
    const to = answer.headers.get("location");
    const detail = "the answer is a redirect, which is not followed: name the address of the service itself";
    return new VotingProblem(answer.status, { detail: to === null ? detail : `${detail} (${to})` }, retryAfter);
  }
  let document: unknown;
  try {
    document = await answer.json();
  } catch {
    // A proxy answers with a page.
  }
  const isObject = typeof document === "object" && document !== null && !Array.isArray(document);
  return new VotingProblem(answer.status, isObject ? (document as Record<string, unknown>) : {}, retryAfter);
}
