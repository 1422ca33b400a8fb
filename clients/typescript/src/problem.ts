/** The problems of the service with a status of 500 or more with which it says that nothing was stored. */
const NOTHING_STORED = ["overloaded", "not-stored", "foreign-secret"].map((kind) => `urn:voting:problem:${kind}`);

/** The service refused a request. The request changed nothing. */
export class VotingProblem extends Error {
  /** The kind of the problem, such as `urn:voting:problem:poll-closed`. */
  readonly type: string;
  /** Whether the request may have been carried out all the same: a proxy may say so, or the service. */
  readonly mayBeDone: boolean;

  constructor(
    /** The status of the answer. */
    readonly status: number,
    /** The problem document (RFC 9457); empty if the answer has none. */
    readonly document: Record<string, unknown>,
  ) {
    const text = (name: string): string | undefined => {
      const value = document[name];
      return typeof value === "string" ? value : undefined;
    };
    super(text("detail") ?? text("title") ?? `status ${status}`);
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
export async function problemOf(answer: Response): Promise<VotingProblem> {
  let document: unknown;
  try {
    document = await answer.json();
  } catch {
    // A proxy answers with a page.
  }
  const isObject = typeof document === "object" && document !== null && !Array.isArray(document);
  return new VotingProblem(answer.status, isObject ? (document as Record<string, unknown>) : {});
}
