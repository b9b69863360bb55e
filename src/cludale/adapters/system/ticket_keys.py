"""Keys of ticket codes, in a file or in a setting: the one that signs, then those that are good until their end.

Either is one text: `seed,seed@2029-06-05T00:00:00Z`, each seed 32 bytes in Base64 for addresses. The file is looked at
again once a second, so that a running server takes up a new key by itself.
"""

import os
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from cludale.adapters.system.folders import sync_folder
from cludale.adapters.system.keys import UnusableKey, kept_key
from cludale.kernel.times import parse_time, rfc3339
from cludale.ports.ticket_keys import TicketKey

LOOK_SECONDS = 1.0
SEED_BYTES = 32

KeyOf = Callable[[bytes, datetime | None], TicketKey]
"""A key from its seed and its end."""


def parsed(text: str, key_of: KeyOf) -> list[TicketKey]:
    """The keys in a text. Raises UnusableKey."""
    keys: list[TicketKey] = []
    for each in text.strip().split(","):
        encoded, _, end = each.partition("@")
        try:
            seed = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            ends_at = parse_time(end) if end else None
        except ValueError as error:
            raise UnusableKey("the keys of tickets are seeds of 32 bytes, each with @ and its end or none") from error
        if len(seed) != SEED_BYTES:
            raise UnusableKey(f"a key of tickets is a seed of {SEED_BYTES} bytes in Base64, not of {len(seed)}")
        keys.append(key_of(seed, ends_at))
    if keys[0].ends_at is not None or len({key.id for key in keys}) < len(keys):
        raise UnusableKey("the first key of tickets signs and has no end, and no key is there twice")
    return keys


def written(keys: Sequence[TicketKey]) -> str:
    """These keys as the text that is kept. Secret."""
    return ",".join(
        urlsafe_b64encode(key.seed).rstrip(b"=").decode() + ("" if key.ends_at is None else f"@{rfc3339(key.ends_at)}")
        for key in keys
    )


def rotated(keys: Sequence[TicketKey], *, former_until: datetime, now: datetime, key_of: KeyOf) -> list[TicketKey]:
    """A new key before these; the one that signed is good until `former_until`. Those that have ended are left out."""
    while True:
        new = key_of(secrets.token_bytes(SEED_BYTES), None)
        if all(new.id != each.id for each in keys):
            break
    first, *others = keys
    return [new, first._replace(ends_at=former_until), *(each for each in others if each.is_good(now))]


class KeptTicketKeys:
    """Those of a setting (`text`), or of a file, which is made with one key if there is none."""

    def __init__(self, path: Path, key_of: KeyOf, *, text: str | None = None) -> None:
        """Raises UnusableKey, OSError."""
        self._path = path
        self._key_of = key_of
        self._is_file = text is None
        self._keys = parsed(kept_key(path) if text is None else text, key_of)
        self._looked = time.monotonic()
        self._changed_ns = os.stat(path).st_mtime_ns if text is None else 0

    def all(self) -> Sequence[TicketKey]:
        """The one that signs first."""
        now = time.monotonic()
        if self._is_file and now - self._looked > LOOK_SECONDS:
            self._looked = now
            changed_ns = os.stat(self._path).st_mtime_ns
            if changed_ns != self._changed_ns:
                self._keys, self._changed_ns = parsed(kept_key(self._path), self._key_of), changed_ns
        return self._keys


def replace_file(path: Path, keys: Sequence[TicketKey]) -> None:
    """Write these keys in place of those in the file: whole or not at all, mode 0600. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(written(keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)
