"""An evening at the door: all who have a ticket come, some with one that is void or forged, and some codes come twice.

Some doors have no network meanwhile: they decide by themselves, by what they had loaded, and tell it in the end, each
batch twice and in no order.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from time import perf_counter
from typing import Final, NamedTuple

import msgspec

from cludale.services.tickets import offline
from cludale.services.tickets.domain import Movement
from cludale.services.tickets.door import Result
from cludale.services.tickets.events import Direction
from cludale.web.http1 import Target
from cludale_proof.rehearsal.latencies import Latencies
from cludale_proof.rehearsal.load import Load, Tally
from cludale_proof.rehearsal.organizer import Organizer, Ticket, read_tickets
from cludale_proof.rehearsal.plan import CannotRehearse, Evening, EveningSeen, Plan, Reporter, latency_of

_FORGED: Final = 5
"""How many codes are shown that nobody signed."""
_CALLED_OFF: Final = 5
"""How many orders are cancelled before the doors open, at most: one in a hundred."""
_BATCH: Final = 100
_REPORT_SECONDS: Final = 0.2
_POLL_SECONDS: Final = 0.1


class Showing(NamedTuple):
    """A code that is shown at a door."""

    ticket_id: str
    """Empty: of no ticket."""
    code: str
    door: str


class _Admission(msgspec.Struct, frozen=True, rename="camel"):
    result: str
    ticket_id: str | None


async def hold(
    plan: Plan, target: Target, organizer: Organizer, concert_id: str, paid: Sequence[str], report: Reporter
) -> Evening:
    """Let them all come; `paid`: the orders with tickets. Raises CannotRehearse."""
    void = await _cancel_some(plan, organizer, paid)
    tickets = await _tickets(plan, target, organizer, [id for id in paid if id not in void])
    doors = [f"door-{number}" for number in range(1, plan.doors + 1)]
    alone = {name: Door(name, concert_id) for name in doors[: plan.offline_doors]}
    for door in alone.values():
        await door.load(organizer)
    showings = _showings(plan, tickets, [each for id in void for each in void[id]], doors)
    by_themselves = [showing for showing in showings if showing.door in alone]
    for showing in by_themselves:
        alone[showing.door].show(showing)
    online = [showing for showing in showings if showing.door not in alone]
    heard = _Heard()
    load = Load(
        target,
        _scans(organizer, target, concert_id, online),
        connections=plan.connections,
        timeout_seconds=plan.timeout_seconds,
        hear=heard.hear,
        trust=plan.trust,
    )
    await _let_in(load, report, len(online))
    await _tell(plan, organizer, list(alone.values()))
    return await _evening_seen(plan, organizer, concert_id, load.tally, heard, tickets, void, showings, alone)


class Door:
    """A door that has no network: it goes by the snapshot that it loaded, and remembers whom it let in."""

    def __init__(self, name: str, concert_id: str) -> None:
        self.name = name
        self.said: Counter[str] = Counter()
        self.let_in: list[tuple[str, str, datetime]] = []
        """Ticket, code and time; the place in the list is the sequence, from 1."""
        self._concert_id = concert_id
        self._own: dict[tuple[str, int], list[Movement]] = {}
        self._shot: offline.Snapshot | None = None

    async def load(self, organizer: Organizer) -> None:
        """Load what it goes by. Raises CannotRehearse where that can't be trusted."""
        body, keys = await organizer.snapshot(self._concert_id)
        try:
            self._shot = offline.read_snapshot(body, keys, concert_id=self._concert_id)
        except offline.Distrusted as error:
            raise CannotRehearse(f"a door without network can't go by its snapshot: {error}") from error

    def show(self, showing: Showing) -> None:
        """Decide by itself, and remember whom it let in."""
        if self._shot is None:
            raise CannotRehearse("a door without network has loaded nothing")
        now, sequence = datetime.now(UTC), len(self.let_in) + 1
        scan = offline.OfflineScan(showing.code, f"{self.name}.{sequence}")
        said = offline.decide(self._shot, self._own, scan, now=now)
        self.said[said.scanned.result.value] += 1
        if said.claims is None or said.scanned.result is not Result.VALID:
            return
        own = self._own.setdefault((said.claims.order_id, said.claims.number), [])
        own.append(Movement(now, self.name, scan.scan_id, Direction.IN))
        self.let_in.append((showing.ticket_id, showing.code, now))

    def batches(self) -> Iterator[Mapping[str, object]]:
        """What it tells later."""
        for begin in range(0, len(self.let_in), _BATCH):
            scans = [
                {"sequence": begin + at, "code": code, "door": self.name, "at": time}
                for at, (_, code, time) in enumerate(self.let_in[begin : begin + _BATCH], start=1)
            ]
            yield {"device": self.name, "clock": datetime.now(UTC), "scans": scans}


class _Heard:
    """What the doors with network said."""

    def __init__(self) -> None:
        self.said: Counter[str] = Counter()
        self.let_in: Counter[str] = Counter()
        self._admission = msgspec.json.Decoder(_Admission)

    def hear(self, status: int, body: bytes) -> None:
        """One answer."""
        if status != 200:
            self.said[f"status {status}"] += 1
            return
        said = self._admission.decode(body)
        self.said[said.result] += 1
        if said.result == Result.VALID and said.ticket_id is not None:
            self.let_in[said.ticket_id] += 1


async def _cancel_some(plan: Plan, organizer: Organizer, paid: Sequence[str]) -> dict[str, Sequence[Ticket]]:
    """Orders that are cancelled after their buyers saw their codes, with these; waits until the codes are void."""
    chosen = paid[: min(_CALLED_OFF, len(paid) // 100)]
    before = {id: await organizer.tickets(id) for id in chosen}
    for id in chosen:
        await organizer.cancel(id)
    deadline = perf_counter() + plan.settle_seconds
    waiting = deque(chosen)
    while waiting:
        if all(ticket.status == "Revoked" for ticket in await organizer.tickets(waiting[0])):
            waiting.popleft()
        elif perf_counter() > deadline:
            raise CannotRehearse(f"the tickets of the cancelled order {waiting[0]} are still good")
        else:
            await asyncio.sleep(_POLL_SECONDS)
    return before


async def _tickets(plan: Plan, target: Target, organizer: Organizer, orders: Sequence[str]) -> Sequence[Ticket]:
    """The tickets of all these orders, asked for over many connections."""
    found: list[Ticket] = []
    asked = (target.request("GET", f"/tickets?order={id}", headers=organizer.headers) for id in orders)

    def hear(status: int, body: bytes) -> None:
        if status == 200:
            found.extend(read_tickets(body))

    tally = await Load(
        target, asked, connections=plan.connections, timeout_seconds=plan.timeout_seconds, hear=hear, trust=plan.trust
    ).run()
    if tally.statuses != ({200: len(orders)} if orders else {}):
        raise CannotRehearse(f"tickets of {len(orders)} orders were asked for; answers: {tally.statuses}")
    return found


def _showings(plan: Plan, tickets: Sequence[Ticket], void: Sequence[Ticket], doors: Sequence[str]) -> list[Showing]:
    """Each code at some door, some of them at another one, too, and some that are no good; in no order."""
    random = Random(plan.seed)  # noqa: S311 - not for secrets
    showings = [Showing(each.id, each.code, random.choice(doors)) for each in (*tickets, *void) if each.code]
    again = random.sample(showings, round(len(showings) * plan.shown_again))
    showings += [each._replace(door=random.choice(doors)) for each in again]
    showings += [Showing("", _forged(each.code), random.choice(doors)) for each in tickets[:_FORGED] if each.code]
    random.shuffle(showings)
    return showings


def _forged(code: str) -> str:
    """The code with its last letters, of the signature, in another order."""
    return code[:-9] + "".join(sorted(code[-9:], reverse=code[-9:] == "".join(sorted(code[-9:]))))


def _scans(organizer: Organizer, target: Target, concert_id: str, showings: Sequence[Showing]) -> Iterator[bytes]:
    for number, showing in enumerate(showings):
        body = {"code": showing.code, "door": showing.door, "concertId": concert_id, "scanId": f"scan-{number}"}
        yield target.request("POST", "/tickets/admissions", msgspec.json.encode(body), organizer.headers)


async def _let_in(load: Load, report: Reporter, showings: int) -> None:
    evening = asyncio.create_task(load.run())
    try:
        while not evening.done():
            await asyncio.wait([evening], timeout=_REPORT_SECONDS)
            report.letting_in(load.tally.answered + load.tally.failed, showings)
        evening.result()
    finally:
        evening.cancel()


async def _tell(plan: Plan, organizer: Organizer, doors: Sequence[Door]) -> None:
    """Each batch twice, in no order."""
    batches = [batch for door in doors for batch in door.batches()] * 2
    Random(plan.seed).shuffle(batches)  # noqa: S311 - not for secrets
    for batch in batches:
        await organizer.merge(batch)


async def _evening_seen(
    plan: Plan,
    organizer: Organizer,
    concert_id: str,
    tally: Tally,
    heard: _Heard,
    tickets: Sequence[Ticket],
    void: Mapping[str, Sequence[Ticket]],
    showings: Sequence[Showing],
    alone: Mapping[str, Door],
) -> Evening:
    online = Counter(showing.ticket_id for showing in showings if showing.door not in alone)
    entries = [id for door in alone.values() for id, _, _ in door.let_in]
    audited = await _audited(plan, organizer, concert_id, heard.let_in.total() + len(entries))
    said = heard.said.copy()
    for door in alone.values():
        said.update(door.said)
    return Evening(
        showings=len(showings),
        said=dict(sorted(said.items())),
        errors=dict(sorted(tally.errors.items())),
        seconds=tally.seconds,
        answers_per_second=tally.answered / tally.seconds if tally.seconds else 0.0,
        latency=latency_of(Latencies.merged(tally.latencies.values())),
        seen=EveningSeen(
            good={each.id for each in tickets},
            void={each.id for of in void.values() for each in of},
            forged=sum(not showing.ticket_id for showing in showings),
            shown_online=online,
            let_in_online=heard.let_in,
            let_in_alone=Counter(entries),
            counts=await organizer.door_counts(concert_id),
            double_entries=Counter(await organizer.double_entries(concert_id)),
            audited=audited,
        ),
    )


async def _audited(plan: Plan, organizer: Organizer, concert_id: str, entries: int) -> int:
    """How many entries the audit tells of, once it has heard of all, or once it has had time for that."""
    deadline = perf_counter() + plan.settle_seconds
    while True:
        found = await organizer.audited(concert_id, "TicketAdmitted") + await organizer.audited(
            concert_id, "ScanMerged"
        )
        if found >= entries or perf_counter() > deadline:
            return found
        await asyncio.sleep(_POLL_SECONDS)
