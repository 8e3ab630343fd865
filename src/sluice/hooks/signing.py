"""Signed requests, so that a receiver knows who asks and that nobody sends it a second time.

The scheme is that of Standard Webhooks 1.0: ``webhook-id``, ``webhook-timestamp`` and
``webhook-signature`` = ``v1,`` + base64 of HMAC-SHA256 over ``id.timestamp.body``.
"""

import base64
import binascii
import hashlib
import hmac
import os

PREFIX = "whsec_"
"""Keys that begin so are base64 after it; others are taken as they are."""


class NoKey(Exception):  # noqa: N818  # what is the case, said in the field's word
    """The key cannot be had; the text says what to do."""


def key_of(env: str) -> bytes:
    """The key in an environment variable.

    Raises:
        NoKey: it is not set, empty, or no base64 after ``whsec_``.
    """
    value = os.environ.get(env, "")
    if not value:
        raise NoKey(f"environment variable {env} with the signing key is not set or empty")
    if not value.startswith(PREFIX):
        return value.encode()
    try:
        key = base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise NoKey(f"environment variable {env} is no base64 after {PREFIX}") from error
    if not key:
        raise NoKey(f"environment variable {env} holds {PREFIX} and no key")
    return key


def sign(key: bytes, *, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Headers of one request.

    Args:
        key: What both sides know.
        message_id: The same for every try of one message; has no dot.
        at_s: Time of this try, UTC seconds: receivers refuse what is old.
        body: Exactly what is sent.
    """
    signed = f"{message_id}.{at_s}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{digest}",
    }
