/** The service refused a request. The request changed nothing. */
export class VotingProblem extends Error {
  /** The kind of the problem, such as `urn:voting:problem:poll-closed`. */
  readonly type: string;

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
  }
}

/**
 * No answer came, so it is not known whether the service did what was asked.
 *
 * It is safe to ask for the same again: a voter has one ballot, and the last one counts.
 */
export class OutcomeUnknown extends Error {
  constructor(request: string, cause: unknown) {
    super(`no answer to ${request}`, { cause });
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
