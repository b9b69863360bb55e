"""The code of a ticket: what a QR code shows and a door reads. Pure.

A CBOR Web Token (RFC 8392) in a COSE_Sign1 message (RFC 9052), signed with Ed25519, as text in Base45 (RFC 9285), whose
letters a QR code packs densely. It says all that a door without network needs: key, concert, ticket, seat, and from
when until when it is good. Ed25519 gives the same signature each time, so the code is stored nowhere, and whoever has
the private key checks a code by signing again, which takes a third of the time of a verification. That is why it is
written here, over cbor2 and cryptography: a library for such tokens verifies. Tests read codes with one (cwt).
"""

import hashlib
import hmac
import struct
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cludale.kernel.allocation import NumberedSeat
from cludale.ports.ticket_keys import TicketKey

EDDSA = -8
_ALGORITHM, _KEY_ID = 1, 4
_AUDIENCE, _EXPIRES, _NOT_BEFORE, _TICKET = 3, 4, 5, 7
_NUMBERS, _SECTION = "n", "s"
_SIGN1_TAG = 18
LONGEST = 400
"""Characters of a code at most; what is longer is none of ours."""
CONCERT_LONGEST = 20
SECTION_LONGEST = 12
_BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES = {letter: value for value, letter in enumerate(_BASE45)}


class Claims(NamedTuple):
    """What a code says."""

    concert: str
    """`concert_claim` of the concert's id."""
    order_id: str
    number: int
    quantity: int
    generation: int
    section: str
    """`section_claim` of the section's id."""
    not_before: datetime
    expires: datetime


class Unreadable(Exception):
    """It is no code of a ticket, or not one that was signed here."""


@lru_cache(maxsize=1_024)
def concert_claim(concert_id: str) -> str:
    """How a code names a concert: by its id, or a hash of an id that is too long for a small code (`~` and 12
    letters)."""
    if len(concert_id) <= CONCERT_LONGEST:
        return concert_id
    return "~" + urlsafe_b64encode(hashlib.sha256(concert_id.encode()).digest()[:9]).decode()


def section_claim(section: str, seat: NumberedSeat | None = None) -> str:
    """How a code names a section: by the beginning of its id, after row and number where seats have them: `C 12 stal`.

    It is for people; no decision hangs on it.
    """
    place = section if seat is None else f"{seat.row} {seat.number} {section}"
    return place[:SECTION_LONGEST]


def signed(claims: Claims, key: TicketKey) -> str:
    """The code that says this: some 160 to 250 letters. The same each time."""
    payload = cbor2.dumps(
        {
            _AUDIENCE: claims.concert,
            _EXPIRES: int(claims.expires.timestamp()),
            _NOT_BEFORE: int(claims.not_before.timestamp()),
            _TICKET: _packed(claims.order_id),
            _NUMBERS: [claims.number, claims.quantity, claims.generation],
            _SECTION: claims.section,
        }
    )
    return message(payload, key)


def message(payload: bytes, key: TicketKey) -> str:
    """The code that has this payload, which should be a CBOR map of claims."""
    protected = _protected(key.id)
    signature = _private(key.seed).sign(_to_sign(protected, payload))
    return base45(cbor2.dumps(cbor2.CBORTag(_SIGN1_TAG, [protected, {}, payload, signature])))


def key_id_of(code: str) -> str:
    """The id of the key that the code says it is signed with. Raises Unreadable."""
    return _parts(code)[0]


def read(code: str, key: TicketKey) -> Claims:
    """What the code says, if it was signed with this key. Raises Unreadable. Times are not looked at."""
    return read_by(code, lambda id: key if id == key.id else None)


def read_by(code: str, key_of_id: Callable[[str], TicketKey | None]) -> Claims:
    """What the code says, if it was signed with the key of the id that it names. Raises Unreadable, as `read`."""
    key_id, protected, payload, signature = _parts(code)
    key = key_of_id(key_id)
    if key is None or not hmac.compare_digest(_private(key.seed).sign(_to_sign(protected, payload)), signature):
        raise Unreadable
    return _claims_in(payload)


def verified(code: str, public: bytes) -> Claims:
    """What the code says, if the key with these public 32 bytes signed it. Raises Unreadable, as `read`."""
    _, protected, payload, signature = _parts(code)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _to_sign(protected, payload))
    except InvalidSignature:
        raise Unreadable from None
    return _claims_in(payload)


def _claims_in(payload: bytes) -> Claims:
    try:
        said = cbor2.loads(payload)
        number, quantity, generation = said[_NUMBERS]
        return Claims(
            said[_AUDIENCE],
            _unpacked(said[_TICKET]),
            number,
            quantity,
            generation,
            said[_SECTION],
            datetime.fromtimestamp(said[_NOT_BEFORE], UTC),
            datetime.fromtimestamp(said[_EXPIRES], UTC),
        )
    except (KeyError, TypeError, ValueError, cbor2.CBORDecodeError) as error:
        raise Unreadable from error


def key_of(seed: bytes, ends_at: datetime | None = None) -> TicketKey:
    """The key that follows from these 32 bytes."""
    return TicketKey(hashlib.sha256(public_bytes(seed)).hexdigest()[:4], seed, ends_at)


def public_bytes(seed: bytes) -> bytes:
    """The public key, 32 bytes."""
    public: Ed25519PublicKey = _private(seed).public_key()
    return public.public_bytes_raw()


@lru_cache(maxsize=64)
def _private(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)


@lru_cache(maxsize=64)
def _protected(key_id: str) -> bytes:
    return cbor2.dumps({_ALGORITHM: EDDSA, _KEY_ID: bytes.fromhex(key_id)})


def _to_sign(protected: bytes, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, b"", payload])


def _packed(order_id: str) -> Any:
    """`order-` and 32 or (from an idempotency key) 44 hex digits as bytes, any other id as text."""
    head, _, tail = order_id.removeprefix("order-").partition(".")
    try:
        packed = bytes.fromhex(head) + bytes.fromhex(tail)
    except ValueError:
        return order_id
    return packed if _unpacked(packed) == order_id else order_id


def _unpacked(packed: Any) -> str:
    if isinstance(packed, bytes):
        head, tail = packed[:16].hex(), packed[16:].hex()
        return f"order-{head}.{tail}" if tail else f"order-{head}"
    if not isinstance(packed, str):
        raise TypeError("neither bytes nor text")
    return packed


def _parts(code: str) -> tuple[str, bytes, bytes, bytes]:
    """Key id, protected header, payload and signature, none of it believed yet."""
    if len(code) > LONGEST:
        raise Unreadable
    try:
        message = cbor2.loads(unbase45(code.rstrip("\r\n")))
        if not isinstance(message, cbor2.CBORTag) or message.tag != _SIGN1_TAG:
            raise Unreadable
        protected, _, payload, signature = message.value
        key_id = cbor2.loads(protected)[_KEY_ID].hex()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, cbor2.CBORDecodeError) as error:
        raise Unreadable from error
    if not (isinstance(protected, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)):
        raise Unreadable
    return key_id, protected, payload, signature


def base45(raw: bytes) -> str:
    """Bytes as Base45 (RFC 9285): two bytes are three letters, the lowest place first."""
    letters: list[str] = []
    for at in range(0, len(raw) - 1, 2):
        high, rest = divmod(raw[at] << 8 | raw[at + 1], 45 * 45)
        middle, low = divmod(rest, 45)
        letters += (_BASE45[low], _BASE45[middle], _BASE45[high])  # the lowest place comes first
    if len(raw) % 2:
        middle, low = divmod(raw[-1], 45)
        letters += (_BASE45[low], _BASE45[middle])
    return "".join(letters)


def unbase45(text: str) -> bytes:
    """Raises ValueError for what is no Base45, KeyError for a letter that is none of its own.

    A door reads thousands a second: all groups of three letters are seen to at once.
    """
    raw = text.encode("ascii", "replace").translate(_PLACES)
    if (foreign := raw.find(_FOREIGN)) >= 0:
        raise KeyError(text[foreign])
    whole, left = divmod(len(raw), 3)
    end = whole * 3
    try:
        values = [
            low + middle * 45 + high * 2025
            for low, middle, high in zip(raw[:end:3], raw[1:end:3], raw[2:end:3], strict=True)
        ]
        found = _pairs(whole).pack(*values)
    except struct.error:
        raise ValueError("a group is larger than its bytes") from None
    if left == 1:
        raise ValueError("a letter is left over")
    if not left:
        return found
    last = raw[end] + raw[end + 1] * 45
    if last > 255:
        raise ValueError("a group is larger than its bytes")
    return found + bytes((last,))


_FOREIGN = 255
_PLACES = bytes(_VALUES.get(chr(letter), _FOREIGN) for letter in range(256))


@lru_cache(maxsize=256)
def _pairs(count: int) -> struct.Struct:
    return struct.Struct(f">{count}H")
