"""Signatures of the Standard Webhooks specification, and the secrets that they are made with. No I/O, no randomness.

Symmetric: HMAC-SHA256 (`v1`), its secret written `whsec_…`. Asymmetric: Ed25519 (`v1a`), its private key written
`whsk_…`, its public key `whpk_…`. What is signed is `{id}.{timestamp}.{body}`.
Written here, over cryptography: the specification's own library for Python signs with `v1` alone.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET_BYTES = 32
_SECRET, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"


class Scheme(StrEnum):
    """How what an endpoint gets is signed: the identifier that its signatures begin with."""

    HMAC = "v1"
    ED25519 = "v1a"


class Secrets(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one endpoint's deliveries are signed with; each as it is written for people, None where it isn't used."""

    hmac: str | None = None
    """`whsec_…`"""
    ed25519: str | None = None
    """`whsk_…`, which nobody is shown: to verify, the public key is enough."""

    @property
    def public(self) -> str | None:
        """`whpk_…`, to verify with; None without a key pair."""
        if self.ed25519 is None:
            return None
        public = _private(self.ed25519).public_key().public_bytes_raw()
        return _PUBLIC + b64encode(public).decode()


def secrets_of(schemes: Iterable[Scheme], random: bytes) -> Secrets:
    """Secrets made of so many random bytes: twice SECRET_BYTES, of which each is used once."""
    wanted = frozenset(schemes)
    first, second = random[:SECRET_BYTES], random[SECRET_BYTES : 2 * SECRET_BYTES]
    private = Ed25519PrivateKey.from_private_bytes(second)
    pair = second + private.public_key().public_bytes_raw()  # seed and public key, as Ed25519 libraries keep it
    return Secrets(
        hmac=_SECRET + b64encode(first).decode() if Scheme.HMAC in wanted else None,
        ed25519=_PRIVATE + b64encode(pair).decode() if Scheme.ED25519 in wanted else None,
    )


def signature(secrets: Iterable[Secrets], *, id: str, at: datetime, body: bytes) -> str:
    """The value of `webhook-signature`: a signature for each secret, with a blank between them.

    `id` may have no full stop: what is signed would be ambiguous. Raises ValueError.
    """
    if "." in id:
        raise ValueError(f"{id!r} has a full stop")
    content = b"%b.%d.%b" % (id.encode(), int(at.timestamp()), body)
    signatures = []
    for each in secrets:
        if each.hmac is not None:
            made = hmac.digest(b64decode(each.hmac.removeprefix(_SECRET)), content, "sha256")
            signatures.append(f"{Scheme.HMAC},{b64encode(made).decode()}")
        if each.ed25519 is not None:
            signatures.append(f"{Scheme.ED25519},{b64encode(_private(each.ed25519).sign(content)).decode()}")
    return " ".join(signatures)


def headers(secrets: Iterable[Secrets], *, id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of one attempt, made at `at`."""
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(secrets, id=id, at=at, body=body),
    }


def _private(written: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(b64decode(written.removeprefix(_PRIVATE))[:SECRET_BYTES])
