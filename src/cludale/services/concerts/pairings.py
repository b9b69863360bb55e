"""Pairing rules: a code that is swapped once, within minutes, for a device's key. No I/O, clock or HTTP.

A code has a part that finds it and a part that is secret, so guesses are counted where they are made, in all replicas
alike: whoever guesses has `MOST_GUESSES` at a code out of 32^8, however many addresses they have.
"""

import hmac
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Refusal

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no two letters look alike."""
FINDS, SECRET = 4, 8
"""Letters that find a code, and letters that are secret."""
MOST_GUESSES = 5
MOST_PAIRINGS = 200
_ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


class PairingRefused(Refusal):
    """There is no such code: it was mistyped, used, or is too old. Have a new one made."""

    def __init__(self) -> None:
        super().__init__("This code opens nothing: it was mistyped, used, or is too old. Have a new one made.")


class TooManyPairings(Refusal):
    """So many codes wait for their device that no more can be made: they end within the hour."""

    def __init__(self) -> None:
        super().__init__(f"{MOST_PAIRINGS} codes wait for their device, which is the limit.", limit=MOST_PAIRINGS)


class Code(NamedTuple):
    """A code as it was typed in."""

    finds: str
    secret: str

    @classmethod
    def read(cls, text: str) -> "Code":
        """What `text` says, however it is cut up. Raises PairingRefused."""
        letters = text.upper().translate(_ALIKE)
        if len(letters) != FINDS + SECRET or not set(letters) <= set(ALPHABET):
            raise PairingRefused
        return cls(letters[:FINDS], letters[FINDS:])

    @property
    def whole(self) -> str:
        """The text that is hashed."""
        return self.finds + self.secret

    def __str__(self) -> str:
        letters = self.whole
        return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


class Pairing(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A code that waits for its device."""

    finds: str
    digest: str
    """The keyed hash of the code, hexadecimal."""
    name: str
    """What the device is called."""
    organizer: str
    concert_id: str
    ends_at: datetime
    key_ends_at: datetime | None = None
    guesses: int = 0
    """Wrong ones."""


class Pairings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """All pairings, kept in one record."""

    pairings: tuple[Pairing, ...] = ()
    paired: Pairing | None = None
    """The one that was swapped last: what the swap was for."""


def offer(pairings: Pairings, new: Pairing, *, now: datetime) -> Decision[Pairings]:
    """Let a device be paired by this code. Raises TooManyPairings."""
    waiting = [each for each in pairings.pairings if each.ends_at > now and each.finds != new.finds]
    if len(waiting) >= MOST_PAIRINGS:
        raise TooManyPairings
    return Decision(Pairings(pairings=(*waiting, new)))


def swap(pairings: Pairings, finds: str, digest: str, *, now: datetime) -> Decision[Pairings]:
    """Use a code up. `paired` is what it was for; None for a wrong one, which is counted."""
    found = next((each for each in pairings.pairings if each.finds == finds and each.ends_at > now), None)
    if found is None:
        raise PairingRefused
    others = tuple(each for each in pairings.pairings if each is not found)
    if hmac.compare_digest(found.digest, digest):
        return Decision(Pairings(pairings=others, paired=found))
    guessed = replace(found, guesses=found.guesses + 1)
    return Decision(Pairings(pairings=others if guessed.guesses >= MOST_GUESSES else (*others, guessed)))


def until(now: datetime, seconds: float) -> datetime:
    """When a code ends that is made now."""
    return now + timedelta(seconds=seconds)
