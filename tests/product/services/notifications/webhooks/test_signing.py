"""Signatures are what the specification says, by its own library where it has one, else by its text."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from os import urandom

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from cludale.services.notifications.webhooks.signing import Scheme, Secrets, headers, secrets_of

BODY = b'{"type":"order.paid","data":{"artist":"Bj\xc3\xb6rk"}}'
HMAC, ED25519 = Scheme.HMAC, Scheme.ED25519


def verify_v1a(body: bytes, sent: dict[str, str], public: str) -> None:
    """As the text of the specification says it. Raises InvalidSignature."""
    key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_"), validate=True))
    content = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
    made = [each.partition(",")[2] for each in sent["webhook-signature"].split(" ") if each.startswith("v1a,")]
    for each in made:
        try:
            return key.verify(b64decode(each, validate=True), content)
        except InvalidSignature:
            pass
    raise InvalidSignature


def signed(*secrets: Secrets, at: datetime | None = None) -> dict[str, str]:
    return headers(secrets, id="message-1", at=at or datetime.now(UTC), body=BODY)


def test_the_reference_library_verifies_v1() -> None:
    secrets = secrets_of([HMAC], urandom(64))
    assert secrets.hmac is not None
    assert secrets.hmac.startswith("whsec_")
    assert len(b64decode(secrets.hmac[6:], validate=True)) == 32
    assert Webhook(secrets.hmac).verify(BODY, signed(secrets)) == {"type": "order.paid", "data": {"artist": "Björk"}}
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets.hmac).verify(BODY + b" ", signed(secrets))
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets.hmac).verify(BODY, signed(secrets, at=datetime.now(UTC) - timedelta(minutes=6)))


def test_what_is_signed_is_what_the_reference_library_signs() -> None:
    at = datetime(2021, 2, 25, 14, 42, 10, 999_999, tzinfo=UTC)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    ours = headers([Secrets(hmac=secret)], id="message-1", at=at, body=BODY)["webhook-signature"]
    assert ours == Webhook(secret).sign("message-1", at, BODY.decode())


def test_v1a_is_an_ed25519_signature_of_the_same_text() -> None:
    secrets = secrets_of([ED25519], urandom(64))
    assert secrets.hmac is None
    assert secrets.public is not None
    assert secrets.ed25519 is not None
    assert secrets.ed25519.startswith("whsk_")
    verify_v1a(BODY, signed(secrets), secrets.public)
    with pytest.raises(InvalidSignature):
        verify_v1a(BODY + b" ", signed(secrets), secrets.public)
    with pytest.raises(InvalidSignature):
        verify_v1a(BODY, {**signed(secrets), "webhook-id": "message-2"}, secrets.public)


def test_while_secrets_change_both_verify() -> None:
    old, new = (secrets_of([HMAC, ED25519], urandom(64)) for _ in range(2))
    sent = signed(new, old)
    assert [each.partition(",")[0] for each in sent["webhook-signature"].split(" ")] == ["v1", "v1a", "v1", "v1a"]
    for each in (old, new):
        Webhook(each.hmac or "").verify(BODY, sent)
        verify_v1a(BODY, sent, each.public or "")
    with pytest.raises(WebhookVerificationError):
        Webhook(old.hmac or "").verify(BODY, signed(new))


def test_an_id_that_would_make_what_is_signed_ambiguous_is_refused() -> None:
    with pytest.raises(ValueError, match="full stop"):
        headers([], id="message.1", at=datetime.now(UTC), body=BODY)
