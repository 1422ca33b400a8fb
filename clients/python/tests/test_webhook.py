"""Checks messages with the signature that the tests of the service hold (voting-http/src/webhooks/signature.rs)."""

import unittest

from voting_client import InvalidWebhook, verify_webhook

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER = "whsec_" + "A" * 32
BODY = b'{"type":"webhook.test","timestamp":"2026-01-01T00:00:00Z","data":{}}'
SENT = 1_767_225_600
SIGNATURE = "v1,flqjOCJPJqkLeXRqdeU3CAD9zWP4ey4lN3vmu0J6qrs="
HEADERS = {
    "Webhook-Id": "0192f0c1-2d3e-7f00-8a00-000000000001",
    "Webhook-Timestamp": str(SENT),
    "Webhook-Signature": SIGNATURE,
}


class Webhooks(unittest.TestCase):
    def refused(self, body=BODY, secret=SECRET, now=SENT, **headers):
        changed = HEADERS | {f"Webhook-{name.capitalize()}": value for name, value in headers.items()}
        with self.assertRaises(InvalidWebhook):
            verify_webhook(body, changed, secret, now=now)

    def test_the_signature_of_the_service_is_right(self):
        for body in (BODY, BODY.decode()):
            self.assertEqual(verify_webhook(body, HEADERS, SECRET, now=SENT)["type"], "webhook.test")

    def test_one_of_several_signatures_or_secrets_is_enough(self):
        several = HEADERS | {"Webhook-Signature": f"v1,AAAA v1a,AAAA é {SIGNATURE}"}
        verify_webhook(BODY, several, SECRET, now=SENT)
        verify_webhook(BODY, HEADERS, [OTHER, SECRET], now=SENT)

    def test_what_was_changed_is_refused(self):
        self.refused(body=BODY + b" ")
        self.refused(secret=OTHER)
        self.refused(id="another")
        self.refused(timestamp=str(SENT + 1))
        for signature in ("", "v1,", "v1,é", "v1,\ud800", SIGNATURE[3:], SIGNATURE.replace("v1", "v2"), SIGNATURE[:-1]):
            self.refused(signature=signature)

    def test_a_message_is_valid_for_five_minutes_before_and_after(self):
        for away in (-300, 300):
            verify_webhook(BODY, HEADERS, SECRET, now=SENT + away)
        for away in (-301, 301):
            self.refused(now=SENT + away)
        for sent in ("", "soon", "-1", "1e9", "\u0661", "\u00b2", "9" * 5000):
            self.refused(timestamp=sent)

    def test_a_missing_header_is_refused(self):
        for name in HEADERS:
            with self.assertRaises(InvalidWebhook):
                verify_webhook(BODY, {k: v for k, v in HEADERS.items() if k != name}, SECRET, now=SENT)

    def test_a_secret_that_cannot_be_read_is_an_error_of_the_caller(self):
        for secret in ("", "whsec_", "whsec_!", SECRET[6:], "whsec_AAAA", []):
            with self.assertRaises(ValueError):
                verify_webhook(BODY, HEADERS, secret, now=SENT)


if __name__ == "__main__":
    unittest.main()
