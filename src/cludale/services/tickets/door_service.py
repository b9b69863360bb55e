"""The entrance at work: who is let in, once and durably; what doors without network go by, and what they tell later.

Scans that wait are decided together: one load, one commit call, one record and one commit for each order among them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Event
from cludale.kernel.refusals import Busy, NotFound, Refusal
from cludale.ports.programme import ConcertDetails
from cludale.ports.ticket_keys import TicketKeys
from cludale.runtime.aggregates import Change, Updates, Versioned
from cludale.runtime.batching import BatchingQueue
from cludale.runtime.recent import Recent
from cludale.services.tickets import codes, domain, door, merging, offline
from cludale.services.tickets.domain import OrderTickets
from cludale.services.tickets.door import Counts, Inside, Open, Result, Scanned
from cludale.services.tickets.events import Direction, UndoReason
from cludale.services.tickets.merging import Conflict, MergedScan, MergeResult
from cludale.services.tickets.store import TICKETS, of_concert

PAGE = 1_000
PAGES = 1_000
"""How many pages of a concert's orders are looked at at most."""
SCANS_AT_ONCE = 256
SCANS_WAITING = 4_096
SNAPSHOTS_KEPT = 100
SNAPSHOT_SECONDS = 2.0
"""How old what a door loads may be already: so many doors that load at once cost one look."""
CLOCK_AHEAD = timedelta(seconds=60)
"""How far ahead of ours a device's clock may be; one further ahead has to put its clock right."""
READ_AT_ONCE = 32
"""How many codes are checked before others have their turn."""

_KEPT = (MergeResult.RECORDED, MergeResult.KNOWN)

IsTheirs = Callable[[str], Awaitable[bool]]
"""May who asks let people into this concert?"""
ConcertOf = Callable[[str], Awaitable[tuple[ConcertDetails, Open]]]
"""Raises NotFound, Busy."""


class Scan(NamedTuple):
    """What a door is shown."""

    code: str
    door: str
    scan_id: str
    """The device's own: told again, it gets the same answer."""
    direction: Direction = Direction.IN
    concert_id: str | None = None
    """What is on at this door; None: any."""


class DoorAnswer(NamedTuple):
    """What the door says to a code, and whose ticket it is."""

    scanned: Scanned
    claims: codes.Claims | None = None
    concert_id: str | None = None


class DeviceScan(NamedTuple):
    """What a device tells of one scan that it decided by itself."""

    code: str
    door: str
    direction: Direction
    sequence: int
    at: datetime
    undone: UndoReason | None = None


class Merged(NamedTuple):
    """What became of what a device told."""

    scans: Sequence[tuple[MergeResult, str | None]]
    """In order; with the ticket's id, where the scan is written down."""
    conflicts: Sequence[Conflict]
    """What is wrong with the tickets among them, as far as is known by now."""


class ClockAhead(Refusal):
    """The device's clock is ahead: it tells of scans that are still to come. Nothing of the batch was written down."""

    def __init__(self, now: datetime, latest: datetime) -> None:
        super().__init__(
            f"The device tells of a scan {(latest - now).total_seconds():.0f} s from now: put its clock right by "
            "`offsetMilliseconds` of an empty batch, and tell the same scans again.",
            now=now,
            latest=latest,
        )


class _Waiting(NamedTuple):
    """A scan that waits to be decided."""

    scan: Scan
    cause: Cause
    is_theirs: IsTheirs | None


class _Ready(NamedTuple):
    """A scan that can be decided: the code is ours, and the concert is the asker's."""

    at: int
    """Where in the batch."""
    scan: Scan
    claims: codes.Claims
    hours: Open


class Doors:
    """The entrance of all concerts."""

    def __init__(
        self, updates: Updates, keys: TicketKeys, concert: ConcertOf, *, reentry: bool, snapshot_life: timedelta
    ) -> None:
        self._updates = updates
        self._keys = keys
        self._concert = concert
        self._reentry = reentry
        self._life = snapshot_life
        self._snapshots: Recent[str, tuple[datetime, offline.SignedSnapshot]] = Recent(SNAPSHOTS_KEPT)
        self._making = asyncio.Lock()
        self._queue: BatchingQueue[None, _Waiting, DoorAnswer | Exception] = BatchingQueue(
            self._decided,
            of="scans",
            refuse=Busy,
            batch_limit=SCANS_AT_ONCE,
            waiting_limit=SCANS_WAITING,
        )

    async def close(self) -> None:
        """Decide what waits, and take no more."""
        await self._queue.close()

    async def scan(self, scan: Scan, cause: Cause, is_theirs: IsTheirs | None = None) -> DoorAnswer:
        """What the door says. Whoever is let in is written down, durably, before this returns. Raises Busy.

        `is_theirs`: may who asks let people into this concert? None: into any.
        """
        (answer,) = await self._queue.submit(None, (_Waiting(scan, cause, is_theirs),))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def new_scan_id(self) -> str:
        """For a scan whose device gave none."""
        return self._updates.ids.new("scan")

    async def _decided(self, _: None, waiting: Sequence[_Waiting]) -> Sequence[DoorAnswer | Exception]:
        """All of these: what they say, one commit call, whatever their number."""
        now = self._updates.clock.now()
        said: list[DoorAnswer | Exception] = [DoorAnswer(Scanned(Result.FORGED))] * len(waiting)
        claims = [self.read(each.scan.code, now) for each in waiting]
        wanted = dict.fromkeys(claim.order_id for claim in claims if claim is not None)
        known = await TICKETS.load(self._updates.records, wanted) if wanted else {}
        orders: dict[tuple[str, Cause], list[_Ready]] = {}
        for at, (each, claim) in enumerate(zip(waiting, claims, strict=True)):
            if claim is None:
                continue
            judged: DoorAnswer | Open | Refusal
            try:
                judged = await self._before(each, claim, known.get(claim.order_id))
            except Refusal as refusal:
                judged = refusal
            if isinstance(judged, Open):
                ready = _Ready(at, each.scan, claim, judged)
                orders.setdefault((claim.order_id, each.cause), []).append(ready)
            else:
                said[at] = judged
        await self._write(orders, known, said)
        return said

    async def _before(
        self, waiting: _Waiting, claims: codes.Claims, known: Versioned[OrderTickets] | None
    ) -> DoorAnswer | Open:
        """What speaks against it before its ticket is looked at, else the concert's hours. Raises Busy."""
        if known is None:
            return DoorAnswer(Scanned(Result.UNKNOWN), claims)
        concert_id = known.state.concert_id
        if waiting.is_theirs is not None and not await waiting.is_theirs(concert_id):
            return DoorAnswer(Scanned(Result.WRONG_CONCERT))
        if waiting.scan.concert_id not in (None, concert_id):
            return DoorAnswer(Scanned(Result.WRONG_CONCERT), claims, concert_id)
        try:
            _, hours = await self._concert(concert_id)
        except NotFound:
            return DoorAnswer(Scanned(Result.UNKNOWN), claims)
        return hours

    async def _write(
        self,
        orders: Mapping[tuple[str, Cause], Sequence[_Ready]],
        known: Mapping[str, Versioned[OrderTickets]],
        said: list[DoorAnswer | Exception],
    ) -> None:
        changes = []
        for (order_id, cause), ready in orders.items():
            decide = _Deciding(ready, said, reentry=self._reentry)
            changes.append(Change(TICKETS, order_id, decide, cause, known=known[order_id]))
        if not changes:
            return
        for (_, after), ready in zip(await self._updates.update(changes), orders.values(), strict=True):
            if after is None:
                for each in ready:
                    said[each.at] = Busy("This ticket is being scanned in too many places at once.")

    async def undo(self, order_id: str, number: int, *, reason: UndoReason, cause: Cause) -> OrderTickets:
        """The ticket's last admission did not count. Raises NotFound, NotInside, Busy."""

        def decide(tickets: OrderTickets, now: datetime) -> Decision[OrderTickets]:
            return domain.undo(tickets, number, reason=reason, now=now)

        return await self._updates.change(TICKETS, order_id, decide, cause)

    # -- doors without network

    async def snapshot(self, concert_id: str) -> offline.SignedSnapshot:
        """What a door without network goes by. Raises NotFound, Busy."""
        async with self._making:
            now = self._updates.clock.now()
            kept = self._snapshots.get(concert_id)
            if kept is not None and now < kept[0]:
                return kept[1]
            _, hours = await self._concert(concert_id)
            orders = [each async for each in self._orders(concert_id) if each.changed]
            keys = self._keys.all()
            shot = offline.snapshot(
                concert_id, orders, keys=keys, hours=hours, reentry=self._reentry, life=self._life, now=now
            )
            made = offline.signed(shot, keys[0])
            self._snapshots.remember({concert_id: (now + timedelta(seconds=SNAPSHOT_SECONDS), made)})
            return made

    def now(self) -> datetime:
        """The server's time."""
        return self._updates.clock.now()

    def offset(self, clock: datetime) -> timedelta:
        """By how much the server's clock is ahead of the device's, which says this; the way here is in it."""
        return self.now() - clock

    async def merge(
        self, device: str, told: Sequence[DeviceScan], *, cause: Cause, is_theirs: IsTheirs | None
    ) -> Merged:
        """Write down what a device let through. Known scans change nothing. Raises ClockAhead, Busy."""
        now = self._updates.clock.now()
        latest = max((each.at for each in told), default=now)
        if latest > now + CLOCK_AHEAD:
            raise ClockAhead(now, latest)
        results = [MergeResult.FORGED] * len(told)
        ids: list[str | None] = [None] * len(told)
        orders: dict[str, list[tuple[int, MergedScan]]] = {}
        for at, each in enumerate(told):
            claims = self.read(each.code, each.at)
            if claims is not None:
                orders.setdefault(claims.order_id, []).append((at, _merged(device, each, claims)))
            if at % READ_AT_ONCE == READ_AT_ONCE - 1:
                await asyncio.sleep(0)
        known = await TICKETS.load(self._updates.records, orders) if orders else {}
        changes = []
        for order_id, scans in orders.items():
            tickets = known.get(order_id)
            refused = MergeResult.UNKNOWN
            if tickets is not None and is_theirs is not None and not await is_theirs(tickets.state.concert_id):
                refused = MergeResult.WRONG_CONCERT
            if tickets is None or refused is MergeResult.WRONG_CONCERT:
                for at, _ in scans:
                    results[at] = refused
                continue
            changes.append(Change(TICKETS, order_id, _Merging(scans, results), cause, known=tickets))
        updated = await self._updates.update(changes) if changes else []
        after = [known.state for _, known in updated if known is not None]
        if len(after) < len(changes):
            raise Busy("Tickets among these scans are being changed by too many requests at once.")
        for order_id, scans in orders.items():
            for at, scan in scans:
                ids[at] = domain.ticket_id(order_id, scan.number) if results[at] in _KEPT else None
        of = set(ids)
        return Merged(
            list(zip(results, ids, strict=True)), [each for each in merging.conflicts(after) if each.ticket_id in of]
        )

    # -- looking

    async def counts(self, concert_id: str) -> Counts:
        """What went through the doors of a concert. Looks at each of its orders. Raises NotFound, Busy."""
        await self._concert(concert_id)
        return door.counts([each async for each in self._orders(concert_id)])

    async def inside(self, concert_id: str) -> list[Inside]:
        """Who is inside now, by section. Raises NotFound, Busy."""
        concert, _ = await self._concert(concert_id)
        return door.inside([each async for each in self._orders(concert_id)], concert.sections)

    async def conflicts(self, concert_id: str) -> list[Conflict]:
        """Whom doors without network let in that should not have been. Raises NotFound, Busy."""
        await self._concert(concert_id)
        return merging.conflicts([each async for each in self._orders(concert_id)])

    async def _orders(self, concert_id: str) -> AsyncIterator[OrderTickets]:
        after: str | None = None
        for _ in range(PAGES):
            found, page = await TICKETS.find(self._updates.records, of_concert(concert_id, after=after, limit=PAGE))
            for each in found:
                yield each.state
            after = page.next
            if after is None:
                break

    def read(self, code: str, at: datetime) -> codes.Claims | None:
        """What a code says that was good then; None for any other."""
        keys = self._keys.all()
        try:
            return codes.read_by(code, lambda id: next((key for key in keys if key.id == id and key.is_good(at)), None))
        except codes.Unreadable:
            return None


class _Deciding:
    """Decides about the scans of one order, one after the other; after a conflict anew."""

    def __init__(self, ready: Sequence[_Ready], said: list[DoorAnswer | Exception], *, reentry: bool) -> None:
        self._ready = ready
        self._said = said
        self._reentry = reentry

    def __call__(self, state: OrderTickets | None, now: datetime) -> Decision[OrderTickets] | None:
        if state is None:
            return None
        events: list[Event] = []
        for each in self._ready:
            scanned, decision = self._one(state, each, now)
            self._said[each.at] = DoorAnswer(scanned, each.claims, state.concert_id)
            if decision is not None:
                state = decision.state
                events += decision.events
        return Decision(state, tuple(events), now)

    def _one(self, state: OrderTickets, ready: _Ready, now: datetime) -> tuple[Scanned, Decision[OrderTickets] | None]:
        claims, scan = ready.claims, ready.scan
        if claims.number not in state.numbers:
            return Scanned(Result.UNKNOWN), None
        said = door.judged(
            state.ticket(claims.number),
            generation=claims.generation,
            direction=scan.direction,
            scan_id=scan.scan_id,
            reentry=self._reentry,
            hours=ready.hours,
            now=now,
        )
        if said.result is Result.REPLACED and state.ticket(claims.number).is_of_holder(claims.generation):
            said = said._replace(moved_to=state.seat(claims.number))
        if said.result is not Result.VALID or said.at is not None:
            return said, None
        if scan.direction is Direction.OUT:
            decision = domain.let_out(state, claims.number, door=scan.door, scan_id=scan.scan_id, now=now)
        else:
            decision = domain.admit(
                state, claims.number, generation=claims.generation, door=scan.door, scan_id=scan.scan_id, now=now
            )
        return Scanned(Result.VALID, now, scan.door), decision


class _Merging:
    """Merges a device's scans of one order."""

    def __init__(self, scans: Sequence[tuple[int, MergedScan]], results: list[MergeResult]) -> None:
        self._scans = scans
        self._results = results

    def __call__(self, state: OrderTickets | None, now: datetime) -> Decision[OrderTickets] | None:
        if state is None:
            return None
        decision, results = merging.merge(state, [scan for _, scan in self._scans], now=now)
        for (at, _), result in zip(self._scans, results, strict=True):
            self._results[at] = result
        return decision


def _merged(device: str, told: DeviceScan, claims: codes.Claims) -> MergedScan:
    scan_id = merging.scan_id_of(device, told.sequence)
    of = told.door, told.direction, device, told.sequence, scan_id, told.at, told.undone
    return MergedScan(claims.number, claims.generation, *of)
