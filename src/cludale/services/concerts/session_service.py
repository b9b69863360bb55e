"""Sessions at work: signs people in and out. Load → decide → commit."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy, NotFound
from cludale.runtime.aggregates import Change, Updates
from cludale.services.concerts import sessions as domain
from cludale.services.concerts.sessions import Member, Session, Sessions, SignedOut, Staff
from cludale.services.concerts.store import ALL_SESSIONS, ALL_STAFF, SESSIONS, STAFF


class SessionService:
    """All sessions of the platform."""

    def __init__(self, updates: Updates, changed: Callable[[], Awaitable[None]]) -> None:
        """`changed` is called after a change here, and returns when this process knows of it."""
        self._updates = updates
        self._changed = changed

    def now(self) -> datetime:
        """The time."""
        return self._updates.clock.now()

    async def begin(self, new: Session) -> Session:
        """Sign somebody in. Raises Busy, SignedOutMeanwhile."""
        await self._change(lambda sessions, now: domain.begin(sessions, new, now=now))
        keep = Change(STAFF, ALL_STAFF, lambda found, now: domain.seen(found or Staff(), new, now=now), Cause())
        await self._updates.update((keep,))
        return new

    async def end(self, id: str) -> None:
        """Sign somebody out; again changes nothing. Raises Busy."""
        await self._change(lambda sessions, _: domain.end(sessions, id))

    async def signed_out(self, said: SignedOut) -> None:
        """End what the issuer says is over; again changes nothing. Raises Busy."""
        await self._change(lambda sessions, now: domain.signed_out(sessions, said, now=now))

    async def staff(self) -> Sequence[tuple[Member, int]]:
        """Who has signed in, who did so last first, each with their sessions that are not over."""
        found = await STAFF.load(self._updates.records, (ALL_STAFF,))
        live = Counter(each.of for each in await self.all())
        return [(each, live[each.of]) for each in found[ALL_STAFF].state.members] if found else []

    async def end_all_of(self, person_id: str) -> int:
        """Sign somebody out everywhere; how many sessions that were. Raises NotFound, Busy."""
        ended = next((count for member, count in await self.staff() if member.id == person_id), None)
        if ended is None:
            raise NotFound("person", person_id)
        await self._change(lambda sessions, _: domain.end_all_of(sessions, person_id))
        return ended

    async def own(self, id: str) -> Sequence[Session]:
        """All sessions of the person whose session this is, the newest first. Raises NotFound."""
        own = await self.session(id)
        return [each for each in await self.all() if each.of == own.of]

    async def end_others(self, id: str) -> int:
        """Sign whoever has this one out everywhere else; how many that were. Raises NotFound, SignInAgain, Busy."""
        others = len(await self.own(id)) - 1
        await self._change(lambda sessions, now: domain.end_others(sessions, id, now=now))
        return max(others, 0)

    async def all(self) -> Sequence[Session]:
        """Those that are not over, the newest first."""
        now = self.now()
        return [each for each in reversed((await self._stored()).sessions) if each.ends_at > now]

    async def session(self, id: str) -> Session:
        """One. Raises NotFound."""
        return (await self._stored()).session(id)

    async def _change(self, decide: Callable[[Sessions, datetime], Decision[Sessions]]) -> None:
        change = Change(SESSIONS, ALL_SESSIONS, lambda found, now: decide(found or Sessions(), now), Cause())
        ((_, known),) = await self._updates.update((change,))
        if known is None:
            raise Busy("Too many sign in or out at once.")
        await self._changed()

    async def _stored(self) -> Sessions:
        found = await SESSIONS.load(self._updates.records, (ALL_SESSIONS,))
        return found[ALL_SESSIONS].state if found else Sessions()
