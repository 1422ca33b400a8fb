"""Checks messages that are signed by Standard Webhooks 1.0.0."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any


class InvalidWebhook(Exception):
    """The message is not one of the sender, or is too old. Answer with 400, and do nothing else with it."""


def verify_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | Iterable[str],
    *,
    tolerance: float = 300.0,
    now: float | None = None,
) -> Any:
    """Checks the signature and the time of a message, and returns its body as parsed JSON.

    ``body`` is what was received, byte for byte. ``secret`` is ``whsec_…``, or several of them while a secret is
    exchanged. ``tolerance`` is how far the message's time may be from ``now``, in seconds.

    A message can come twice, with the same header ``webhook-id``: remember the ids that you have handled.

    Raises `InvalidWebhook` if the message must not be trusted, and `ValueError` if a secret cannot be read or none is given.
    """
    secrets = [_key(one) for one in ([secret] if isinstance(secret, str) else secret)]
    if not secrets:
        raise ValueError("there is no secret")
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message, sent, signatures = (named[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise InvalidWebhook(f"the header {missing.args[0]} is missing") from None
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 15):
        raise InvalidWebhook("the header webhook-timestamp is not a number of seconds")
    if abs((time.time() if now is None else now) - int(sent)) > tolerance:
        raise InvalidWebhook("the time of the message is too far from now")

    content = body.encode(errors="replace") if isinstance(body, str) else body
    signed = f"{message}.{sent}.".encode(errors="replace") + content
    expected = [base64.b64encode(hmac.digest(key, signed, "sha256")) for key in secrets]
    given = [one[3:].encode(errors="replace") for one in signatures.split(" ") if one.startswith("v1,")]
    # Each is compared in constant time.
    if not any(hmac.compare_digest(one, other) for one in given for other in expected):
        raise InvalidWebhook("no signature is right")
    try:
        return json.loads(content)
    except ValueError:
        raise InvalidWebhook("the body is not JSON") from None


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("a secret is whsec_ and 24 to 64 bytes in base64")
    return key
