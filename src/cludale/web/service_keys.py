"""What services call each other with: tokens of some minutes, each signed with its caller's own key. No I/O.

A service has a private key of its own, and of all others the public keys alone, so none can call as another. All of it
is one line of text, a service's key; `keys_from` makes those of all services, which belong together. A token is a JWT
with one fixed head (Ed25519, RFC 9864), good for one service that is called. It is made anew when half of its time is
over and looked at once: what a call costs is a look into a dictionary at either end.

Any other text is a key that all services share, as earlier versions had it, and is its own token.
"""

import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LIFE_SECONDS: Final = 300
SKEW_SECONDS: Final = 60
"""By so much the clocks of two services may differ."""
ANY: Final = ""
"""The caller that has a shared key: it could be any service."""
_KIND: Final = "ed25519"
_HEAD: Final = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZDI1NTE5In0"
"""{"typ":"JWT","alg":"Ed25519"}"""
_LONGEST: Final = 1_024
_REMEMBERED: Final = 1_024
"""Tokens whose signature was good: there are few, so what is remembered is forgotten at once where there are more."""


class UnusableServiceKey(ValueError):
    """A text that begins as a service's key, and is none; the message says what is wrong, without the text."""


class _Said(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    iat: int
    exp: int


class _Key(NamedTuple):
    service: str
    private: Ed25519PrivateKey
    public: Mapping[str, Ed25519PublicKey]


class _Known(NamedTuple):
    caller: str
    ends: float


def keys_from(secret: str, services: Collection[str]) -> dict[str, str]:
    """The keys of all services that follow from one secret, which none of them is given."""
    private = {
        name: Ed25519PrivateKey.from_private_bytes(
            hmac.digest(secret.encode(), f"cludale service {name}".encode(), "sha256")
        )
        for name in services
    }
    public = ",".join(f"{name}={_encoded(key.public_key().public_bytes_raw())}" for name, key in private.items())
    return {name: f"{_KIND}:{name}:{_encoded(key.private_bytes_raw())}:{public}" for name, key in private.items()}


def service_of(key: str) -> str | None:
    """The service that the key belongs to; None for one that all share. Raises UnusableServiceKey."""
    read = _read(key)
    return None if read is None else read.service


class ServiceKeys:
    """Makes the tokens of one service's calls, and knows those of its callers."""

    def __init__(
        self, keys: Sequence[str], *, serves: Collection[str] = (), now: Callable[[], float] = time.time
    ) -> None:
        """`keys`: the first makes the tokens, each knows callers (docs/run/secrets.md). `serves`: what is called here.

        Raises UnusableServiceKey.
        """
        self._keys = [(key, _read(key)) for key in keys]
        self._shared = [key.encode() for key, read in self._keys if read is None]
        self._signed = [read for _, read in self._keys if read is not None]
        self._serves = frozenset(serves)
        self._now = now
        self._made: dict[str, tuple[str, float]] = {}
        """By whom it is for: the token, and until when it is used."""
        self._seen: dict[bytes, _Known] = {}

    def token(self, callee: str) -> str:
        """What this service calls another one with, now."""
        text, own = self._keys[0]
        if own is None:
            return text
        now = self._now()
        token, until = self._made.get(callee, ("", 0.0))
        if now >= until:
            token = _signed(own, _Said(own.service, callee, int(now), int(now) + LIFE_SECONDS))
            self._made[callee] = (token, now + LIFE_SECONDS / 2)
        return token

    def caller(self, token: bytes) -> str | None:
        """Which service has this token: its name, or ANY; None: it is none that is good here and now."""
        for shared in self._shared:
            if hmac.compare_digest(token, shared):
                return ANY
        if not self._signed:
            return None
        now = self._now()
        known = self._seen.get(token)
        if known is None:
            known = self._looked_at(token, now)
            if known is None:
                return None
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[token] = known
        return known.caller if now < known.ends else None

    def _looked_at(self, token: bytes, now: float) -> _Known | None:
        head, _, rest = token.partition(b".")
        if head != _HEAD.encode() or len(token) > _LONGEST:
            return None
        said, _, signature = rest.partition(b".")
        try:
            claims = msgspec.json.decode(_decoded(said), type=_Said)
            signed = _decoded(signature)
        except (msgspec.MsgspecError, UnicodeDecodeError, NotBase64, ValueError):
            return None
        if claims.aud not in self._serves or not claims.iat - SKEW_SECONDS <= now < claims.exp + SKEW_SECONDS:
            return None
        if claims.exp - claims.iat > LIFE_SECONDS:
            return None
        for each in self._signed:
            public = each.public.get(claims.iss)
            if public is not None and _is_signed(public, signed, head + b"." + said):
                return _Known(claims.iss, claims.exp + SKEW_SECONDS)
        return None


def _read(text: str) -> _Key | None:
    """Raises UnusableServiceKey."""
    kind, *parts = text.split(":")
    if kind != _KIND:
        return None
    try:
        service, private, listed = parts
        public = dict(each.split("=", 1) for each in listed.split(","))
        keys = {name: Ed25519PublicKey.from_public_bytes(_decoded(key.encode())) for name, key in public.items()}
        own = Ed25519PrivateKey.from_private_bytes(_decoded(private.encode()))
    except (ValueError, NotBase64) as error:
        raise UnusableServiceKey(f"a service's key can't be read: {type(error).__name__}") from None
    if service not in keys or keys[service].public_bytes_raw() != own.public_key().public_bytes_raw():
        raise UnusableServiceKey(f"a service's key is not the one that others know {service!r} by")
    return _Key(service, own, keys)


def _signed(key: _Key, said: _Said) -> str:
    payload = f"{_HEAD}.{_encoded(msgspec.json.encode(said))}"
    return f"{payload}.{_encoded(key.private.sign(payload.encode()))}"


def _is_signed(key: Ed25519PublicKey, signature: bytes, payload: bytes) -> bool:
    try:
        key.verify(signature, payload)
    except InvalidSignature:
        return False
    return True


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: bytes) -> bytes:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))
