"""The end of a run: when all has come to rest, what has to be true of it.

Each check that fails ends the run.
"""

import asyncio
from collections.abc import Collection
from datetime import timedelta

import msgspec

from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind
from cludale.runtime.dead_letters import LETTERS
from cludale.runtime.replay import CannotFold, NotEmpty, Rebuild
from cludale.services import NAMES
from cludale.services.audit import store as audit_store
from cludale.services.audit.domain import GENESIS
from cludale.services.audit.replay import AuditLog, UnreadableEntry
from cludale.services.audit.service import Audit
from cludale.services.audit.store import HEAD
from cludale.services.catalogue import REPLAYS, SERVICES
from cludale.services.concerts.store import SECTIONS, WAITING
from cludale.services.notifications.domain import Notification
from cludale.services.notifications.store import NOTIFICATIONS
from cludale.services.orders.api import PlaceOrder
from cludale.services.orders.order import Status
from cludale.services.orders.store import ORDERS, PERSONAL
from cludale.services.tickets.door_api import OfConcert
from cludale_proof.simulator.client import PATIENCE_SECONDS, RequestOutcome, SimulatedClient
from cludale_proof.simulator.clock import MORNING, MachineClock
from cludale_proof.simulator.faults import Fault
from cludale_proof.simulator.memory import Disk, MemoryStore, Row
from cludale_proof.simulator.reporting import report_findings
from cludale_proof.simulator.storms import Storms
from cludale_proof.simulator.world import World, described

SETTLING_SECONDS = 400.0
"""How long after the last fault everything may take to come to its end."""
LOOK_SECONDS = 1.0
QUIET_LOOKS = 3
LATE_ORDERS = 8
"""What is bought when all is over, to see whether that can still be done. Where holds are short and calls are slow, one
order's hold may well be over before orders hears of it; not all. Each is another buyer's: who lets holds lapse one
after the other has to wait.
"""
LATE_LOOKS = 8
_CLOCKS = {Fault.CLOCK_FORWARD, Fault.CLOCK_BACK, Fault.CLOCK_SKEW}


class Ending:
    """Waits until nothing is under way, and looks."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def check_alive(self) -> None:
        """Whatever it has been through, each process of orders sells a ticket."""
        world = self._world
        for machine in world.machines:
            if "orders" not in machine.services:
                continue
            for number in range(LATE_ORDERS):
                process = machine.running  # looked up each time: one that was asked to stop may have ended meanwhile
                if process is None or (why_not := await self._buys(world.client.of(process), f"late-{number}")) is None:
                    break
            else:
                world.fail([f"{machine.name} sells no ticket any more: {why_not}"])
                await asyncio.sleep(0)

    async def _buys(self, client: SimulatedClient, user_id: str) -> str | None:
        """Why one who orders now gets no ticket; None if they get one."""
        wanted = PlaceOrder(concert_id="concert-afterwards", user_id=user_id, quantity=1)
        told = await client.ask("late buyer", "POST", "/orders", wanted)
        if told.status not in (201, 202):
            return f"an order is answered {told.status}, {_body(told)}"
        order_id = told.json["id"]
        for _ in range(LATE_LOOKS):
            told = await client.show("late buyer", order_id, wait_seconds=PATIENCE_SECONDS - 1)
            if told.body and b'"Pending"' not in told.body and b'"Reserved"' not in told.body:
                return None if b'"Paid"' in told.body else f"an order comes to {_body(told)}"
        return f"an order does not come to its end, after {LATE_LOOKS} answers to who waits for it: {_body(told)}"

    async def settle(self) -> None:
        """Wait until nothing is under way any more; SETTLING_SECONDS at most."""
        world = self._world
        quiet = 0
        deadline = world.loop.time() + SETTLING_SECONDS
        while world.loop.time() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            quiet = quiet + 1 if not self._under_way() else 0
            if quiet >= QUIET_LOOKS:
                return
        world.trace.say("scene", f"not settled: {', '.join(self._under_way())}")

    def _under_way(self) -> list[str]:
        """What is still to come to its end."""
        world = self._world
        left = []
        passed_over = {PERSONAL.kind, WAITING.kind}  # retention has days, and is not on here
        if stuck := self._stuck_in_line():
            left.append(f"{stuck} should wait no more")
        soon = rfc3339(MORNING + timedelta(seconds=world.loop.time() + SETTLING_SECONDS))
        if world.people.busy:
            left.append(f"{world.people.busy} people")
        for disk in world.disks:
            if disk.outbox:
                left.append(f"{len(disk.outbox)} events in the outbox of {disk.name}")
            for kind, rows in disk.tables.items():
                if "dueAt" in kind.indexed and kind not in passed_over:
                    at = kind.indexed.index("dueAt")
                    due = sum(row.values[at] is not None and str(row.values[at]) < soon for row in rows.values())
                    if due:
                        left.append(f"{due} of {kind.name} are due some time")
        if self._is_compared and (reserved := self._reserved()):
            left.append(f"{reserved} orders are Reserved")
        if world.broker is not None and world.broker.under_way:
            left.append(f"{world.broker.under_way} deliveries")
        return left

    def _stuck_in_line(self) -> int:
        """Who waits whose order has ended, or who could be offered seats. Whoever was put on a list by an order that a
        crash cut off stays there as long as nothing can be offered: until so many seats are back, or a time is known.
        """
        world = self._world
        now = MORNING + timedelta(seconds=world.loop.time())
        room = {
            (each.concert_id, each.id): each.available_to_all(now)
            for each in (SECTIONS.decode(row.stored.body) for row in self._rows(SECTIONS.kind))
        }
        is_offered = not any(deed.kind == "postpone" and not deed.number for deed in world.scene.deeds)
        orders = (ORDERS.decode(row.stored.body) for row in self._rows(ORDERS.kind))
        ended = {each.id for each in orders if each.status is not Status.PENDING}
        lists = (WAITING.decode(row.stored.body) for row in self._rows(WAITING.kind))
        return sum(
            entry.order_id in ended or (is_offered and entry.quantity <= room[each.concert_id, each.section])
            for each in lists
            for entry in each.entries
        )

    def _rows(self, kind: Kind) -> Collection[Row]:
        return next((disk.tables[kind].values() for disk in self._world.disks if kind in disk.tables), ())

    @property
    def _is_compared(self) -> bool:
        """Do orders and carts of which nothing is heard get looked at before the end?"""
        return self._world.scene.limits.compare_after_seconds < SETTLING_SECONDS

    def _reserved(self) -> int:
        return sum(b'"status":"Reserved"' in row.stored.body for row in self._rows(ORDERS.kind))

    def check_end(self) -> None:
        """Stores, log and money agree, and nothing is left undone."""
        world = self._world
        now = MORNING + timedelta(seconds=world.loop.time())
        outbox = [entry.body for disk in world.disks for entry in disk.outbox.values()]
        found = world.checker.settled(now, outbox=outbox, grace=timedelta(seconds=2), unlogged=world.chaos.unlogged)
        # That a cart is paid may be told by its next look alone, where a crash came between that and its last order.
        later = () if self._is_compared else ("cart-never-told",)
        findings = [described(each) for each in found if each.rule not in later]
        findings += self._unsent()
        findings += self._without_receipt()
        findings += self._unburied()
        findings += world.receivers.missed(next(disk for disk in world.disks if NOTIFICATIONS.kind in disk.tables))
        left = self._under_way()
        if left:
            findings.append(f"not settled after {SETTLING_SECONDS:.0f} s: {', '.join(left)}")
        if findings:
            world.fail(sorted(findings))

    async def check_doors(self) -> None:
        """Every double entry of the doors without network is named, with both places and times."""
        world = self._world
        doors = world.people.offline_doors
        told = {}
        for concert_id in {entry.concert_id for device in doors.devices for entry in device.entries}:
            of = OfConcert(concert_id=concert_id)
            seen = await world.client.ask("organizer", "GET", "/tickets/admissions/conflicts", query=of)
            if seen.status != 200:
                world.fail([f"the conflicts of {concert_id} are answered {seen.status}"])
                return
            told[concert_id] = seen.json["items"]
        if wrong := doors.wrong(told, exact=not world.chaos.fired.keys() & _CLOCKS):
            world.fail(wrong)

    def _notifications(self) -> list[Notification]:
        table = next(disk.tables[NOTIFICATIONS.kind] for disk in self._world.disks if NOTIFICATIONS.kind in disk.tables)
        return [NOTIFICATIONS.decode(row.stored.body) for row in table.values()]

    def _unsent(self) -> list[str]:
        """Messages that the platform says it sent, and that nobody got."""
        return [
            f"{each.id} is {each.status} by {each.channel}, and it was never sent"
            for each in self._notifications()
            if each.status == "Sent" and each.channel != "log" and each.id not in self._world.posted
        ]

    def _without_receipt(self) -> list[str]:
        """What buyers are told of a ticket that was paid for, without its receipt."""
        return [
            f"{each.id} is told without the receipt of the {each.total} that were paid"
            for each in self._notifications()
            if (each.kind == "confirmation" or each.was_paid)
            and each.total is not None
            and each.total.amount
            and each.payment_id is None
        ]

    def _unburied(self) -> list[str]:
        """What nobody can read, and is not among the dead letters of those who got it."""
        letters = [
            LETTERS.decode(row.stored.body) for disk in self._world.disks for row in disk.tables[LETTERS.kind].values()
        ]
        buried = {(letter.consumer, letter.body) for letter in letters}
        return [
            f"{consumer} got {body[:60]!r} and has not buried it"
            for body, consumers in self._world.poisoned.items()
            for consumer in consumers
            if (consumer, body.decode(errors="replace")) not in buried
        ]

    async def check_report(self) -> None:
        """The report of all sales is what payments took and gave back, and what sections sold."""
        world = self._world
        found = await report_findings(world.disks, MachineClock(world.loop))
        if found:
            world.fail(found)
            await asyncio.sleep(0)

    async def check_verification(self) -> None:
        """The log's own verification says that it is whole, and finds a seal that is not the one that was made."""
        world = self._world
        (disk,) = (disk for disk in world.disks if HEAD in disk.tables)
        audit = Audit(MemoryStore(disk), MachineClock(world.loop))
        verdict = await audit.verify()
        if not verdict.ok:
            world.fail([f"the log does not verify: {verdict.broken}"])
            await asyncio.sleep(0)
        for place, row in disk.tables[HEAD].items():
            head = audit_store.head_of(row.stored).head
            if head.sealed_at is not None:
                forged = msgspec.json.encode(msgspec.structs.replace(head, hash=GENESIS))
                disk.tables[HEAD][place] = row._replace(stored=msgspec.structs.replace(row.stored, body=forged))
                verdict = await audit.verify()
                disk.tables[HEAD][place] = row
                if verdict.ok:
                    world.fail([f"the log verifies, though segment {head.segment} is sealed with another hash"])
                    await asyncio.sleep(0)
                return

    async def check_replay(self) -> None:
        """The log, folded by the services' own replays, gives what they have."""
        world = self._world
        disks = dict(
            zip(
                NAMES,
                world.disks if world.scene.is_distributed else world.disks * len(NAMES),
                strict=True,
            )
        )
        log = MemoryStore(disks["audit"])
        for replay in REPLAYS:
            service = replay.service
            (kinds,) = (each.kinds for each in SERVICES if each.name == service)
            into = MemoryStore(Disk(kinds, world.codec, apart=disks[service].apart))
            rebuild = Rebuild(AuditLog(log, world.codec), [replay], into)
            try:
                await rebuild.run()
                found = [str(difference) for difference in await rebuild.compare(MemoryStore(disks[service]))]
            except (CannotFold, NotEmpty, UnreadableEntry) as error:
                found = [repr(error)]
            if found:
                world.fail([f"replay of {service}: {each}" for each in found])
                await asyncio.sleep(0)

    async def check_redelivery(self, storms: Storms) -> None:
        """The log, delivered again to everyone, changes nothing and sends nothing out."""
        if self._world.chaos.fired[Fault.DELIVERY_LOST_FOR_GOOD]:
            # What was lost comes after all, long after others made up for it: that breaks nothing, either.
            await storms.redeliver_all()
            await self.settle()
            self.check_end()
            await asyncio.sleep(0)
        before = self._standing()
        await storms.redeliver_all()
        await self.settle()
        after = self._standing()
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if changed:
            self._world.fail([f"delivering the log again changed {name}" for name in changed])
            await asyncio.sleep(0)

    def _standing(self) -> dict[str, object]:
        """All that the stores, the provider and the buyers have, by name."""
        world = self._world
        standing: dict[str, object] = {f"what the provider has under {key}": it for key, it in world.ledger.items()}
        standing |= {f"how often {id} was sent": times for id, times in world.posted.items()}
        for disk in world.disks:
            for kind, rows in disk.tables.items():
                standing |= {f"{kind.service}/{kind.name} {id}": row.stored for id, row in rows.items()}
        return standing


def _body(told: RequestOutcome) -> str:
    return "with nothing" if told.answer is None else told.body.decode()
