// Checks messages with the signature that the tests of the service hold (voting-http/src/webhooks/signature.rs).
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidWebhook, verifyWebhook } from "../dist/index.js";

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const other = `whsec_${"A".repeat(32)}`;
const body = '{"type":"webhook.test","timestamp":"2026-01-01T00:00:00Z","data":{}}';
const sent = 1_767_225_600;
const signature = "v1,flqjOCJPJqkLeXRqdeU3CAD9zWP4ey4lN3vmu0J6qrs=";
const headers = {
  "Webhook-Id": "0192f0c1-2d3e-7f00-8a00-000000000001",
  "Webhook-Timestamp": String(sent),
  "Webhook-Signature": signature,
};
const at = (seconds) => ({ now: seconds * 1000 });

const refused = (change, options = at(sent)) =>
  assert.rejects(
    verifyWebhook(change.body ?? body, { ...headers, ...change.headers }, change.secret ?? secret, options),
    InvalidWebhook,
    JSON.stringify(change),
  );

test("the signature of the service is right, in each form of body and headers", async () => {
  for (const given of [body, new TextEncoder().encode(body)]) {
    for (const form of [headers, new Headers(headers), { ...headers, "Webhook-Id": [headers["Webhook-Id"]] }]) {
      assert.equal((await verifyWebhook(given, form, secret, at(sent))).type, "webhook.test");
    }
  }
});

test("one of several signatures or secrets is enough", async () => {
  const several = { ...headers, "Webhook-Signature": `v1,AAAA v1a,AAAA é ${signature}` };
  await verifyWebhook(body, several, secret, at(sent));
  await verifyWebhook(body, headers, [other, secret], at(sent));
});

test("what was changed is refused", async () => {
  await refused({ body: `${body} ` });
  await refused({ secret: other });
  await refused({ headers: { "Webhook-Id": "another" } });
  await refused({ headers: { "Webhook-Timestamp": String(sent + 1) } });
  for (const wrong of ["", "v1,", "v1,é", signature.slice(3), signature.replace("v1", "v2"), signature.slice(0, -4)]) {
    await refused({ headers: { "Webhook-Signature": wrong } });
  }
});

test("a message is valid for five minutes before and after", async () => {
  for (const away of [-300, 300]) await verifyWebhook(body, headers, secret, at(sent + away));
  for (const away of [-301, 301]) await refused({}, at(sent + away));
  for (const wrong of ["", "soon", "-1", "1e9", "\u0661", "9".repeat(5000)]) {
    await refused({ headers: { "Webhook-Timestamp": wrong } });
  }
});

test("a missing header is refused", async () => {
  for (const name of Object.keys(headers)) await refused({ headers: { [name]: undefined } });
});

test("a secret that cannot be read is an error of the caller", async () => {
  for (const wrong of ["", "whsec_", "whsec_!", secret.slice(6), "whsec_AAAA", []]) {
    await assert.rejects(verifyWebhook(body, headers, wrong, at(sent)), TypeError);
  }
});
