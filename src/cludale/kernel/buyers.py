"""What a buyer is known by, as keyed hashes: whoever counts tickets learns no e-mail address and no number. Pure."""

import re
from binascii import b2a_base64
from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b
from unicodedata import normalize

_HASH_BYTES = 15
_URL_SAFE = bytes.maketrans(b"+/", b"-_")

BUYER_KEY = re.compile(r"(?:user|email|phone|address)-[A-Za-z0-9_-]{20}")
"""What a buyer key looks like."""

BuyerKeys = tuple[str, ...]
"""`user-…`, `email-…`, `phone-…`, `address-…`: a keyed hash of each that is known of a buyer."""


class KnownBy(StrEnum):
    """What a buyer is known by."""

    USER = "user"
    EMAIL = "email"
    PHONE = "phone"
    ADDRESS = "address"
    """The network address that a request came from; many buyers may share one."""

    @classmethod
    def of(cls, key: str) -> "KnownBy":
        """What this buyer key is a hash of. Raises ValueError."""
        return cls(key.partition("-")[0])


class BuyerHash:
    """Makes buyer keys: the same buyer has the same ones wherever the secret is the same."""

    def __init__(self, *secrets: bytes) -> None:
        """`secrets`: one, or two while it is changed, of 64 bytes at most: who bought before is known by the former."""
        self.use(*secrets)

    def use(self, *secrets: bytes) -> None:
        """From now on keys are made with these, one with each."""
        self._user, self._email, self._phone, self._address = (
            [(f"{known.value}-", blake2b(key=each, person=known.encode(), digest_size=_HASH_BYTES)) for each in secrets]
            for known in (KnownBy.USER, KnownBy.EMAIL, KnownBy.PHONE, KnownBy.ADDRESS)
        )

    def keys(self, user_id: str, email: str | None, phone: str | None) -> BuyerKeys:
        """The buyer keys of whoever orders with this user id, e-mail address and phone number."""
        keys = _keys(self._user, user_id)
        if email is not None:
            keys += _keys(self._email, folded_email(email))
        if phone is not None:
            keys += _keys(self._phone, folded_phone(phone))
        return tuple(keys)

    def address(self, address: str) -> BuyerKeys:
        """The keys of a network address."""
        return tuple(_keys(self._address, address))


def _keys(begun: Sequence[tuple[str, blake2b]], text: str) -> list[str]:
    said, keys = text.encode("utf-8", "surrogatepass"), []
    for known, with_secret in begun:
        hash = with_secret.copy()  # half of what beginning with the secret takes
        hash.update(said)
        keys.append(known + b2a_base64(hash.digest(), newline=False).translate(_URL_SAFE).decode())
    return keys


def folded_email(email: str) -> str:
    """One mailbox, however it is written: case does not matter, nor a `+tag`, nor how letters are composed."""
    if not email.isascii():
        email = normalize("NFKC", email)
    local, _, domain = email.strip().casefold().rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


def folded_phone(phone: str) -> str:
    """The digits of a number; `+49`, `0049` and `+49 (0)` begin alike. Without a country code, a number of its own."""
    digits = "".join(each for each in phone.replace("(0)", "") if each.isdigit())
    return digits.removeprefix("00")
