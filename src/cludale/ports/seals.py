"""Seals: personal data is kept encrypted, each buyer's under a key of its own, which is kept under the master key.

Whoever drops the key has erased the data, wherever copies of the ciphertext are.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

AES, CHACHA = "aes-256-gcm", "chacha20-poly1305"
"""Ciphers that data can be sealed with."""


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """What is kept of personal data, all of it ciphertext. As JSON its bytes are base64."""

    master: str
    """Which master key its key is under, and so which cipher: 8 hexadecimal digits, which tell nothing of that key."""
    key: bytes
    """The buyer's key, encrypted under the master key."""
    text: bytes
    """The data, encrypted under the buyer's key."""


class CannotOpen(Exception):
    """It is under a master key that is not here, or was changed. The message names no data."""


class Seals(Protocol):
    """Encrypts and decrypts. `of` is what the data belongs to: sealed for one, it opens for no other."""

    @property
    def master(self) -> str:
        """The master key that is used now, as `Sealed.master` names it."""
        ...

    @property
    def has_two_masters(self) -> bool:
        """Is there another master key beside, which some data may be under?"""
        ...

    def seal(self, data: bytes, of: str) -> Sealed:
        """`data` under a new key."""
        ...

    def open(self, sealed: Sealed, of: str) -> bytes:
        """The data. Raises CannotOpen."""
        ...

    def rewrap(self, sealed: Sealed, of: str) -> Sealed:
        """The same data under the master key that is used now. Raises CannotOpen."""
        ...

    def digest(self, text: str) -> str:
        """A keyed hash by which equal texts are found, under the master key that is used now: 32 hexadecimal digits."""
        ...

    def digests(self, text: str) -> Sequence[str]:
        """The hash of `text` under each master key that is here."""
        ...


SealsOf = Callable[[str], Seals]
"""Makes seals under the master key that follows from this secret."""
