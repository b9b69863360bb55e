"""Which keys a process uses and takes, by its settings or its data folder. Raises OSError, UnusableKey."""

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from cludale.adapters.system.keys import KeyPair, UnusableKey, kept_key, kept_pair
from cludale.adapters.system.ticket_keys import KeptTicketKeys
from cludale.ports.ticket_keys import TicketKeys
from cludale.services import NAMES
from cludale.services.tickets.codes import key_of
from cludale.web.service_keys import UnusableServiceKey, service_of
from cludale.wiring.settings import Settings

_HASHED: Final = "sha256-"
"""What a kept pepper begins with that is bytes, in hexadecimal."""


def token_keys(settings: Settings) -> KeyPair:
    """What orders' access tokens follow from, and what they may have followed from: the same in all of orders."""
    if settings.token_key is not None:
        return KeyPair(settings.token_key, settings.token_key_too)
    if settings.dapr and settings.organizer_key is not None:
        key = hmac.digest(settings.organizer_key.encode(), b"cludale access tokens", "sha256").hex()
        return KeyPair(key, settings.token_key_too)
    kept = kept_pair(settings.data_dir, "token")
    return kept if settings.token_key_too is None else kept._replace(too=settings.token_key_too)


def service_keys(settings: Settings, only: Collection[str]) -> list[str]:
    """What services call each other with, the one that is used first; none: the first key, as in earlier releases.

    Raises UnusableKey.
    """
    if set(only) == set(NAMES):
        return [secrets.token_urlsafe(32)]  # all are here: nobody else has it
    keys = [each for each in (settings.service_key, settings.service_key_too) if each is not None]
    for each in keys:
        try:
            owner = service_of(each)
        except UnusableServiceKey as error:
            raise UnusableKey(f"CLUDALE_SERVICE_KEY: {error}") from error
        if owner is not None and {owner} != set(only):
            raise UnusableKey(f"CLUDALE_SERVICE_KEY is that of {owner}, and here is {', '.join(sorted(only))}")
    return keys


def ticket_keys(settings: Settings) -> TicketKeys:
    """What codes of tickets are signed with: all replicas of tickets need the same. Raises UnusableKey, OSError."""
    text = settings.ticket_keys
    if text is None and settings.dapr and settings.organizer_key is not None:
        seed = hmac.digest(settings.organizer_key.encode(), b"cludale tickets", "sha256")
        text = urlsafe_b64encode(seed).rstrip(b"=").decode()
    return KeptTicketKeys(settings.data_dir / "tickets.key", key_of, text=text)


def privacy_keys(settings: Settings) -> tuple[str, str | None]:
    """The master key of personal data, and another one that some data may be under: all replicas of orders need them.

    Whoever sets one where none was set before goes on with what is under the one that had followed from other things.
    """
    made = settings.data_dir / "privacy.key"
    followed: str | None = None
    if settings.dapr and settings.organizer_key is not None:
        followed = hmac.digest(settings.organizer_key.encode(), b"cludale personal data", "sha256").hex()
    elif settings.privacy_key is None or made.exists():
        followed = kept_key(made)
    if settings.privacy_key is None:
        if followed is None:
            raise TypeError("there is always one")
        return followed, settings.privacy_key_too
    return settings.privacy_key, settings.privacy_key_too or followed


class KeyHashes(NamedTuple):
    """What the hashes of keys are made with, as it stood at one moment: the same in all services."""

    used: bytes
    beside: tuple[bytes, ...]
    """What is good, too, while it is changed (docs/run/secrets.md): one at the most."""
    too: tuple[bytes, ...]
    """What the hashes of kept keys may have been made with before: a setting that comes later ends no key."""

    @property
    def is_changing(self) -> bool:
        """Is another secret good beside that of the hashes of keys?"""
        return bool(self.beside)

    @property
    def buyers(self) -> list[bytes]:
        """What buyers' keys are made with: the same in all replicas of orders; with others, all tickets count anew.

        While the secret that they follow from is changed there are two, and a buyer is known by both.
        """
        return [hmac.digest(each, b"cludale buyers", "sha256") for each in (self.used, *self.beside)]


def key_hashes(settings: Settings) -> KeyHashes:
    """Read once, from the settings or the data folder. Raises OSError, UnusableKey."""
    first = None if settings.organizer_key is None else _of_first_key(settings.organizer_key)
    is_kept = (settings.data_dir / "keys.key").exists() or (settings.key_hash is None and first is None)
    kept = [_pepper(each) for each in kept_pair(settings.data_dir, "keys") if each is not None] if is_kept else []
    firsts = [] if first is None else [first]
    # a first key that is set later ends no other one
    used, *beside = [_pepper(settings.key_hash)] if settings.key_hash is not None else kept or firsts
    if settings.key_hash_too is not None:
        beside = [_pepper(settings.key_hash_too)]
    beside = [each for each in beside if each != used]
    too = [each for each in dict.fromkeys([*beside, *kept, *firsts]) if each != used]
    return KeyHashes(used, tuple(beside), tuple(too))


def keep_key_hash(folder: Path, organizer_key: str | None) -> str:
    """What the hashes of keys follow from, from now on in `keys.key`: another first key ends no other one then."""
    if organizer_key is None:
        return kept_key(folder / "keys.key")
    return kept_key(folder / "keys.key", make=lambda: _HASHED + _of_first_key(organizer_key).hex())


def _of_first_key(organizer_key: str) -> bytes:
    return hmac.digest(organizer_key.encode(), b"cludale keys", "sha256")


def _pepper(text: str) -> bytes:
    if text.startswith(_HASHED):
        with suppress(ValueError):
            return bytes.fromhex(text.removeprefix(_HASHED))
    return text.encode()
