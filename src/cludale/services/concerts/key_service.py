"""Keys at work: makes, ends and lists them. Load → decide → commit. It is the `Keys` port of its own process."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy
from cludale.ports.keys import KeyListing, ListedKey
from cludale.runtime.aggregates import Change, Updates
from cludale.services.concerts import keys as domain
from cludale.services.concerts.keys import Key, KeyDigest, Keys, KeyUse, NewKey
from cludale.services.concerts.sessions import BY_ISSUER, Session
from cludale.services.concerts.store import ALL_KEYS, ALL_SESSIONS, KEY_USES, KEYS, SESSIONS


class KeyService:
    """All keys of the platform but the first, which is in the settings."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates
        self.changed: Callable[[], Awaitable[None]] = _nobody_looks
        """Is called after a change here, and returns when this process knows of it."""

    def now(self) -> datetime:
        """The time."""
        return self._updates.clock.now()

    async def create(self, new: NewKey, cause: Cause) -> Key:
        """Make a key. Raises TooManyKeys, Busy."""
        made = await self._change(lambda keys, now: domain.create(keys, new, now=now), cause)
        return made.key(new.id)

    async def revoke(self, key_id: str, cause: Cause) -> Key:
        """End a key; again changes nothing. Raises NotFound, Busy."""
        return (await self._change(lambda keys, now: domain.revoke(keys, key_id, now=now), cause)).key(key_id)

    async def rotate(self, key_id: str, new: KeyDigest, *, overlap: timedelta, cause: Cause) -> Key:
        """Put `new` in its place. Raises NotFound, KeyEnded, TooManyKeys, Busy."""
        made = await self._change(lambda keys, now: domain.rotate(keys, key_id, new, overlap=overlap, now=now), cause)
        return made.key(new.id)

    async def _change(self, decide: Callable[[Keys, datetime], Decision[Keys]], cause: Cause) -> Keys:
        change = Change(KEYS, ALL_KEYS, lambda keys, now: decide(keys or Keys(), now), cause)
        ((_, known),) = await self._updates.update((change,))
        if known is None:
            raise Busy("The keys are being changed by too many requests at once.")
        await self.changed()
        state: Keys = known.state
        return state

    async def all(self, organizer: str | None) -> tuple[Sequence[Key], Mapping[str, datetime]]:
        """The keys of this organizer, or of all, the newest first; and when those that were used were used last."""
        found = domain.visible(await self._stored(), organizer)
        uses = await KEY_USES.load(self._updates.records, [key.id for key in found])
        return found, {id: use.state.last_used_at for id, use in uses.items()}

    async def listing(self, known: KeyListing | None) -> KeyListing:
        """All keys, for those who check them; `known` itself where nothing has changed since."""
        stored = (await KEYS.load(self._updates.records, (ALL_KEYS,))).get(ALL_KEYS)
        signed_in = (await SESSIONS.load(self._updates.records, (ALL_SESSIONS,))).get(ALL_SESSIONS)
        version = sum(each.version for each in (stored, signed_in) if each is not None)  # neither goes back
        if known is not None and version == known.version:
            return known
        all_keys = Keys() if stored is None else stored.state
        keys = [
            ListedKey(
                id=key.id,
                digest=key.digest,
                organizer=key.organizer,
                scopes=key.scopes,
                concert_id=key.only_concert,
                ends_at=key.ends_at,
            )
            for key in all_keys.keys
        ]
        sessions = [] if signed_in is None else [_listed(each) for each in signed_in.state.sessions]
        return KeyListing(version=version, keys=[*keys, *sessions], organizers=all_keys.organizers)

    async def key(self, id: str) -> Key:
        """One. Raises NotFound."""
        return (await self._stored()).key(id)

    async def used(self, last: Mapping[str, datetime], rehashed: Mapping[str, str]) -> None:
        """Note when keys were used last, and what they are kept by from now on; of keys that there are. Raises Busy."""
        if rehashed:
            await self._change(lambda keys, _: domain.rehash(keys, rehashed), Cause())
        known = {key.id for key in (await self._stored()).keys}
        changes = [Change(KEY_USES, id, _use(id, at), Cause()) for id, at in last.items() if id in known]
        await self._updates.update(changes)

    async def _stored(self) -> Keys:
        found = await KEYS.load(self._updates.records, (ALL_KEYS,))
        return found[ALL_KEYS].state if found else Keys()


async def _nobody_looks() -> None:
    """Where no process checks keys by these."""


def _listed(session: Session) -> ListedKey:
    """A session, as whoever checks keys knows it."""
    return ListedKey(
        id=session.id,
        digest=session.digest,
        organizer=session.organizer,
        scopes=session.scopes,
        concert_id=session.only_concert,
        ends_at=session.ends_at,
        idle_seconds=session.idle_seconds,
        of="" if session.of.startswith(BY_ISSUER) else session.of,
        of_digest=session.of_digest,
    )


def _use(key_id: str, at: datetime) -> Callable[[KeyUse | None, datetime], Decision[KeyUse] | None]:
    def decide(use: KeyUse | None, _: datetime) -> Decision[KeyUse] | None:
        is_newer = use is None or use.last_used_at < at
        return Decision(KeyUse(key_id=key_id, last_used_at=at)) if is_newer else None

    return decide
