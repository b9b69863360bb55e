"""Seals with AES-256-GCM or ChaCha20-Poly1305 (`cryptography`): a random key for each sealing, itself encrypted under
the master key.

A master key names its cipher: `chacha20-poly1305:` stands before the secret, and where nothing does it is AES-256-GCM.
So what is sealed names its cipher by its master key, and another cipher comes with another master key, one beside the
other.

Each ciphertext begins with its 96 random bits of nonce. What it belongs to is authenticated with it (`of`), so neither
a key nor a text can be moved to another buyer. The master key is a secret of any form; what it is used for follows from
it by HMAC-SHA256, each use apart.
"""

import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from cludale.kernel.algorithms import algorithm_of
from cludale.ports.seals import AES, CHACHA, CannotOpen, Sealed

NONCE_BYTES = 12
KEY_BYTES = 32
_CIPHERS: Final[Mapping[str, type[AESGCM] | type[ChaCha20Poly1305]]] = {AES: AESGCM, CHACHA: ChaCha20Poly1305}
"""Both have keys of 256 bits and nonces of 96."""
DIGEST_BYTES = 16


class _Master:
    """One master key, as its uses need it."""

    def __init__(self, secret: str) -> None:
        def use(name: str) -> bytes:
            return hmac.digest(secret.encode(), f"cludale personal data: {name}".encode(), "sha256")

        self.cipher = _CIPHERS[algorithm_of(secret, tuple(_CIPHERS))]
        self.name = use("name").hex()[:8]
        self.wrapping = self.cipher(use("keys"))
        self._hashing = use("hashes")

    def digest(self, text: str) -> str:
        return blake2b(text.encode(), key=self._hashing, digest_size=DIGEST_BYTES).hexdigest()


class AeadSeals:
    """Seals under `master`; opens what is under `too` as well: the master key before, or the next one."""

    def __init__(
        self, master: str, too: str | None = None, *, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._used = _Master(master)
        self._masters = {self._used.name: self._used}
        if too is not None:
            other = _Master(too)
            self._masters.setdefault(other.name, other)
        self._random = random_bytes

    @property
    def master(self) -> str:
        """The name of the master key that is used."""
        return self._used.name

    @property
    def has_two_masters(self) -> bool:
        """Is there another one beside?"""
        return len(self._masters) > 1

    def seal(self, data: bytes, of: str) -> Sealed:
        """`data` under a new key."""
        bits, to = self._random(KEY_BYTES + 2 * NONCE_BYTES), of.encode()  # one call of the system for all three
        key, first, second = bits[:KEY_BYTES], bits[KEY_BYTES:-NONCE_BYTES], bits[-NONCE_BYTES:]
        wrapped = first + self._used.wrapping.encrypt(first, key, to)
        return Sealed(self._used.name, wrapped, second + self._used.cipher(key).encrypt(second, data, to))

    def open(self, sealed: Sealed, of: str) -> bytes:
        """The data. Raises CannotOpen."""
        key = self._key(sealed, of)
        return self._decrypted(self._masters[sealed.master].cipher(key), sealed.text, of)

    def rewrap(self, sealed: Sealed, of: str) -> Sealed:
        """The same, its key under the master key that is used; where that has another cipher, sealed anew.

        Raises CannotOpen.
        """
        master = self._masters.get(sealed.master)
        if master is not None and master.cipher is not self._used.cipher:
            return self.seal(self.open(sealed, of), of)
        nonce = self._random(NONCE_BYTES)
        wrapped = nonce + self._used.wrapping.encrypt(nonce, self._key(sealed, of), of.encode())
        return Sealed(self._used.name, wrapped, sealed.text)

    def digest(self, text: str) -> str:
        """The keyed hash of `text`."""
        return self._used.digest(text)

    def digests(self, text: str) -> Sequence[str]:
        """Its hash under each of the master keys."""
        return [each.digest(text) for each in self._masters.values()]

    def _key(self, sealed: Sealed, of: str) -> bytes:
        master = self._masters.get(sealed.master)
        if master is None:
            raise CannotOpen(f"what belongs to {of} is under the master key {sealed.master}, which is not here")
        return self._decrypted(master.wrapping, sealed.key, of)

    @staticmethod
    def _decrypted(under: AESGCM | ChaCha20Poly1305, text: bytes, of: str) -> bytes:
        try:
            return under.decrypt(text[:NONCE_BYTES], text[NONCE_BYTES:], of.encode())
        except (InvalidTag, ValueError) as error:  # ValueError: the nonce is too short, so it was cut
            raise CannotOpen(f"what belongs to {of} was changed, or is not its own") from error
