/** The message is not one of the sender, or is too old. Answer with 400, and do nothing else with it. */
export class InvalidWebhook extends Error {
  override name = "InvalidWebhook";
}

/** The headers of a request: those of `fetch`, or an object as in Node. */
export type WebhookHeaders = Headers | Record<string, string | readonly string[] | undefined>;

export interface WebhookOptions {
  /** How far the message's time may be from `now`, in seconds: 300 if it is not given. */
  tolerance?: number;
  /** The time, in milliseconds since 1970: that of the clock if it is not given. */
  now?: number;
}

/**
 * Checks the signature and the time of a message by Standard Webhooks 1.0.0, and returns its body as parsed JSON.
 *
 * `body` is what was received, byte for byte. `secret` is `whsec_…`, or several of them while a secret is exchanged.
 * A message can come twice, with the same header `webhook-id`: remember the ids that you have handled.
 *
 * Throws `InvalidWebhook` if the message must not be trusted, and `TypeError` if a secret cannot be read or none is given.
 */
export async function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  options: WebhookOptions = {},
): Promise<unknown> {
  const secrets = (typeof secret === "string" ? [secret] : secret).map(keyOf);
  if (secrets.length === 0) throw new TypeError("there is no secret");
  const [id, sent, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => {
    const value = headerOf(headers, name);
    if (value === undefined) throw new InvalidWebhook(`the header ${name} is missing`);
    return value;
  }) as [string, string, string];
  if (!/^[0-9]{1,15}$/.test(sent)) throw new InvalidWebhook("the header webhook-timestamp is not a number of seconds");
  const away = Math.abs((options.now ?? Date.now()) / 1000 - Number(sent));
  if (away > (options.tolerance ?? 300)) throw new InvalidWebhook("the time of the message is too far from now");

  const content = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const before = new TextEncoder().encode(`${id}.${sent}.`);
  const signed = new Uint8Array(before.length + content.length);
  signed.set(before);
  signed.set(content, before.length);
  const given = signatures.split(" ").flatMap((one) => (one.startsWith("v1,") ? (bytesOf(one.slice(3)) ?? []) : []));
  if (!(await isSigned(secrets, given, signed))) throw new InvalidWebhook("no signature is right");
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content)) as unknown;
  } catch {
    throw new InvalidWebhook("the body is not JSON");
  }
}

/** `crypto.subtle.verify` compares in constant time. */
async function isSigned(secrets: Bytes[], given: Bytes[], signed: Bytes): Promise<boolean> {
  for (const secret of secrets) {
    const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const signature of given) {
      if (await crypto.subtle.verify("HMAC", key, signature, signed)) return true;
    }
  }
  return false;
}

type Bytes = Uint8Array<ArrayBuffer>;

function headerOf(headers: WebhookHeaders, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const value = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof value === "string" ? value : value?.[0];
}

function keyOf(secret: string): Bytes {
  const key = secret.startsWith("whsec_") ? bytesOf(secret.slice(6)) : undefined;
  if (!key || key.length < 24 || key.length > 64) throw new TypeError("a secret is whsec_ and 24 to 64 bytes in base64");
  return key;
}

function bytesOf(base64: string): Bytes | undefined {
  try {
    return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}
