"""Key rules: who gets a key to what, until when, and when it ends. No I/O, clock or HTTP; no key either, but its hash.

All keys are one aggregate. Those that ended long ago are forgotten when another is made, so there is a bound.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.kernel.principals import DEFAULT_ORGANIZER, Scope
from cludale.kernel.refusals import NotFound, Refusal
from cludale.services.concerts.events import KeyCreated, KeyRevoked

MOST_KEYS = 2_000
FORGOTTEN_AFTER = timedelta(days=90)
"""How long a key is listed that has ended."""
LONGEST_OVERLAP = timedelta(days=30)
"""How long a key may go on beside the one that takes its place."""


class TooManyKeys(Refusal):
    """There are as many keys as there can be: revoke some that are not needed. They are forgotten after 90 days."""

    def __init__(self) -> None:
        super().__init__(f"There are {MOST_KEYS} keys, which is the limit.", limit=MOST_KEYS)


class KeyEnded(Refusal):
    """The key has ended, or is about to: it can't be given a successor."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"The key {key_id!r} has ended, or is to end: make a new one.", id=key_id)


class Key(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A key, as it is kept: without the key."""

    id: str
    digest: str
    """The keyed hash of the key, hexadecimal; empty where the log alone tells of it."""
    name: str
    """Who or what has it; in no event either."""
    organizer: str
    scopes: tuple[Scope, ...]
    only_concert: str | None
    created_at: datetime
    ends_at: datetime | None


class Keys(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """All of them."""

    keys: tuple[Key, ...] = ()
    organizers: tuple[str, ...] = ()
    """Each that ever had one, beside the default one."""

    def key(self, key_id: str) -> Key:
        """The key. Raises NotFound."""
        for key in self.keys:
            if key.id == key_id:
                return key
        raise NotFound("key", key_id)


class KeyUse(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """When a key was used last, to a minute or so."""

    key_id: str
    last_used_at: datetime


class KeyDigest(NamedTuple):
    """What a key is found by, and checked by."""

    id: str
    digest: str
    """The keyed hash of the key, hexadecimal."""


class NewKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A key that is to be made."""

    id: str
    digest: str
    name: str
    organizer: str
    scopes: tuple[Scope, ...]
    only_concert: str | None = None
    ends_at: datetime | None = None


def create(keys: Keys, new: NewKey, *, now: datetime) -> Decision[Keys]:
    """Make a key. Raises TooManyKeys."""
    created = KeyCreated(
        key_id=new.id,
        organizer=new.organizer,
        scopes=new.scopes,
        only_concert=new.only_concert,
        created_at=now,
        ends_at=new.ends_at,
    )
    return Decision(_as_kept(_bounded(evolve(keys, created)), new), (created,))


def revoke(keys: Keys, key_id: str, *, now: datetime) -> Decision[Keys]:
    """End a key now; again changes nothing. Raises NotFound."""
    key = keys.key(key_id)
    if key.ends_at is not None and key.ends_at <= now:
        return Decision(keys)
    revoked = KeyRevoked(key_id=key_id, organizer=key.organizer, ends_at=now)
    return Decision(evolve(keys, revoked), (revoked,))


def rotate(keys: Keys, key_id: str, new: KeyDigest, *, overlap: timedelta, now: datetime) -> Decision[Keys]:
    """Put `new` in a key's place, for the same; the old one goes on for `overlap` beside it.

    Raises NotFound, KeyEnded, TooManyKeys.
    """
    old = keys.key(key_id)
    until = now + overlap
    if old.ends_at is not None and old.ends_at <= until:
        raise KeyEnded(key_id)
    successor = NewKey(
        id=new.id,
        digest=new.digest,
        name=old.name,
        organizer=old.organizer,
        scopes=old.scopes,
        only_concert=old.only_concert,
        ends_at=old.ends_at,
    )
    made = create(keys, successor, now=now)
    ending = KeyRevoked(key_id=key_id, organizer=old.organizer, ends_at=until)
    return Decision(evolve(made.state, ending), (*made.events, ending))


def rehash(keys: Keys, digests: Mapping[str, str]) -> Decision[Keys]:
    """Keep these keys, by id, by other hashes from now on; no event tells of any. Of keys that there are."""
    if all(digests.get(key.id, key.digest) == key.digest for key in keys.keys):
        return Decision(keys)
    kept = tuple(replace(key, digest=digests.get(key.id, key.digest)) for key in keys.keys)
    return Decision(replace(keys, keys=kept))


def evolve(keys: Keys, event: Event) -> Keys:
    """All keys after this fact, when it happens and when it is read again."""
    match event:
        case KeyCreated():
            key = Key(
                id=event.key_id,
                digest="",
                name="",
                organizer=event.organizer,
                scopes=event.scopes,
                only_concert=event.only_concert,
                created_at=event.created_at,
                ends_at=event.ends_at,
            )
            kept = [each for each in keys.keys if each.id != key.id and not _is_forgotten(each, event.created_at)]
            others = [event.organizer] if event.organizer not in (DEFAULT_ORGANIZER, *keys.organizers) else []
            return Keys(keys=(*kept, key), organizers=(*keys.organizers, *others))
        case KeyRevoked():
            ended = [replace(each, ends_at=event.ends_at) if each.id == event.key_id else each for each in keys.keys]
            return replace(keys, keys=tuple(ended))
        case _:
            return keys


def _is_forgotten(key: Key, now: datetime) -> bool:
    return key.ends_at is not None and key.ends_at + FORGOTTEN_AFTER <= now


def _bounded(keys: Keys) -> Keys:
    if len(keys.keys) > MOST_KEYS:
        raise TooManyKeys
    return keys


def _as_kept(keys: Keys, new: NewKey) -> Keys:
    """The keys, with the new one's hash and name, which are in no event."""
    kept = [replace(key, digest=new.digest, name=new.name) if key.id == new.id else key for key in keys.keys]
    return replace(keys, keys=tuple(kept))


def visible(keys: Keys, organizer: str | None) -> Sequence[Key]:
    """Those of this organizer, or all; the newest first."""
    return [key for key in reversed(keys.keys) if organizer in (None, key.organizer)]
