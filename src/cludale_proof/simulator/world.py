"""One run: a world made from a seed, its faults, its end, and what the checker says of it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec

from cludale.adapters.dapr.inbound import Inbound
from cludale.kernel.events import Envelope
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy
from cludale.kernel.times import rfc3339
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Outgoing
from cludale.ports.records import Commit, StoreUnavailable
from cludale.runtime import dead_letters
from cludale.runtime.dead_letters import LETTERS
from cludale.runtime.replay import CannotFold, NotEmpty, Rebuild
from cludale.services import NAMES
from cludale.services.audit import store as audit_store
from cludale.services.audit.domain import GENESIS
from cludale.services.audit.replay import AuditLog, UnreadableEntry
from cludale.services.audit.service import Audit
from cludale.services.audit.store import HEAD
from cludale.services.catalogue import CATALOGUE, HEARS, KINDS, REPLAYS, SERVICES
from cludale.services.concerts.scheduling import ScheduleConcert
from cludale.services.concerts.store import WAITING
from cludale.services.notifications.domain import AlreadySent, Notification
from cludale.services.notifications.manifest import BUYERS_ARE_TOLD
from cludale.services.notifications.service import Notifications
from cludale.services.notifications.store import NOTIFICATIONS
from cludale.services.notifications.webhooks.service import Webhooks
from cludale.services.orders.api import PlaceOrder
from cludale.services.orders.invoices.settings_api import SayInvoicing
from cludale.services.orders.store import ORDERS, PERSONAL
from cludale_proof.checker import LedgerLine, SafetyChecker, Violation, Write
from cludale_proof.checker.observations import Observation
from cludale_proof.simulator.client import PATIENCE_SECONDS, RequestOutcome, SimulatedClient
from cludale_proof.simulator.clock import MORNING, MachineClock
from cludale_proof.simulator.delivery import AnswerLost, Broker, BusDown
from cludale_proof.simulator.faults import Chaos, Fault, Situation
from cludale_proof.simulator.halls import looked_at
from cludale_proof.simulator.logs import heard
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT, OWNER, Deadlock, Livelock, Owner, SimulatedLoop, inside
from cludale_proof.simulator.memory import Disk, MemoryStore
from cludale_proof.simulator.movers import Movers
from cludale_proof.simulator.network import NobodyThere, call
from cludale_proof.simulator.people import People
from cludale_proof.simulator.plan import Scene, scene_of
from cludale_proof.simulator.processes import Machine, Process, Surroundings, find_running
from cludale_proof.simulator.provider import Movement, Provider
from cludale_proof.simulator.receivers import Receivers
from cludale_proof.simulator.reporting import report_findings
from cludale_proof.simulator.sponsors import Sponsors
from cludale_proof.simulator.storms import Storms
from cludale_proof.simulator.trace import Trace
from cludale_proof.simulator.unsealing import with_addresses
from cludale_proof.simulator.waiters import Waiters

SETTLING_SECONDS = 400.0
"""How long after the last fault everything may take to come to its end."""
LOOK_SECONDS = 1.0
QUIET_LOOKS = 3
AFTERWARDS = ScheduleConcert(
    id="concert-afterwards", artist="Late", date="2027-06-06", total_seats=100, price=Money(1000, "EUR")
)
INVOICES = SayInvoicing(
    on=True, name="Organizer", address="1 Main Street", tax_name="VAT", tax_percent=8.875, zone="Pacific/Auckland"
)
LATE_REQUEST = PlaceOrder(concert_id="concert-afterwards", user_id="late", quantity=1)
"""What is bought when all is over, to see whether that can still be done."""
LATE_ORDERS = 8
"""Where holds are short and calls are slow, one order's hold may well be over before orders hears of it; not all."""
LATE_LOOKS = 8
RECONCILED = 6
"""How often the provider's books are compared while all goes on."""
BOOKS_SINCE = timedelta(days=1)
QUIET_SECONDS = 60.0
"""How long nothing happens before they are compared in the end: longer than what counts as in flight."""
_CLOCKS = {Fault.CLOCK_FORWARD, Fault.CLOCK_BACK, Fault.CLOCK_SKEW}
EXPECTED = (StoreUnavailable, Busy, BusDown, AnswerLost)
"""What faults make parts raise; anything else nobody should see."""


_SITUATIONS = {
    "seats-unavailable": Situation.SOLD_OUT,
    "not-on-sale": Situation.NOT_ON_SALE,
    "concert-over": Situation.CONCERT_OVER,
    "price-too-high": Situation.TOO_DEAR,
    "too-late-to-cancel": Situation.TOO_LATE_TO_CANCEL,
    "buyer-limit-reached": Situation.BUYER_AT_THE_LIMIT,
    "too-many-holds": Situation.TOO_MANY_HOLDS,
}
"""What a refusal shows."""


class Broken(Exception):
    """The run broke an invariant, or did something that nobody should see."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = list(findings)


class Outcome(NamedTuple):
    """What came of a run. `findings` is empty if nothing was broken."""

    seed: int
    findings: list[str]
    fired: Mapping[Fault, int]
    met: Mapping[Situation, int]
    orders: int
    events: int
    steps: int
    virtual_seconds: float


def run(seed: int, trace: Trace | None = None, *, themes: Sequence[str] | None = None) -> Outcome:
    """The run of this seed, the same each time; with these themes instead of the seed's own, another run."""
    world = World(seed, trace or Trace(), themes)
    with heard(world.trace, world.surprised, EXPECTED), looked_at(world.misplaced):
        try:
            return world.run()
        finally:
            world.close()


class World:
    """Everything of one run."""

    def __init__(self, seed: int, trace: Trace, themes: Sequence[str] | None) -> None:
        self.seed = seed
        self.trace = trace
        choices = random.Random(seed)  # noqa: S311 - reproducible is what it has to be
        self.scene: Scene = scene_of(choices, themes)
        # What it leaves abstract is I/O, and there is none.
        self.loop = SimulatedLoop(choices, shuffle=self.scene.shuffle, tick_seconds=self.scene.tick_seconds)  # type: ignore[abstract]
        self.loop.on_exception = self._unheard
        trace.follow(self.loop.time)
        self.chaos = Chaos(choices, self.scene.weather, trace)
        self.chaos.after_sale.seed(seed)
        self.chaos.provider_errors.seed(seed)
        self.checker = SafetyChecker(skew=self.scene.skew, segment_entries=self.scene.limits.audit_segment_entries)
        self.events = 0
        self._pick = choices.randrange
        self._codec = Codec(CATALOGUE)
        self._posted: dict[str, int] = {}
        self._pending: set[str] = set()
        self._cancelled: set[str] = set()
        self._repeated: set[str] = set()
        """Events that tell a fact again."""
        self._ledger: dict[str, tuple[int, int, int]] = {}
        self._poison: dict[bytes, list[str]] = {}
        """What nobody can read, and who has to bury it."""
        self.receivers = Receivers(self.chaos, self._codec, lambda finding: self._fail([finding]))
        hears = HEARS if self.scene.has_webhooks else {**HEARS, "notifications": frozenset(BUYERS_ARE_TOLD)}
        self.provider = Provider(
            self.chaos,
            self._booked,
            attempt_seconds=self.scene.limits.payment_attempt_seconds,
            time=self.loop.time,
            errs=self.checker.provider_errs,
        )
        around = Surroundings(
            loop=self.loop,
            chaos=self.chaos,
            codec=self._codec,
            limits=self.scene.limits,
            provider=self.provider,
            posted=self._posted,
            receivers=self.receivers,
            has_webhooks=self.scene.has_webhooks,
            hears=hears,
            returned=self._returned,
            surprised=self.surprised,
            ended=self._ended,
            published=self._published,
        )
        self.broker = (
            Broker(self._codec, self.chaos, hears, self._hearer, self._published) if self.scene.is_distributed else None
        )
        self.disks = self._disks()
        self.machines = [
            Machine(name, services, disk, around, broker=self.broker, find=self._find)
            for name, services, disk in self._places()
        ]
        self.door = SimulatedClient(self.chaos, self._find, self._noted, self.surprised)
        self.people = People(self.door, self.chaos, hold_seconds=self.scene.limits.hold_seconds)
        self.movers = Movers(
            self.door,
            self.chaos,
            self.scene.seats,
            later=self.people.later,
            enter=self.people.enter,
            seed=str(self.seed),
        )

    def _disks(self) -> list[Disk]:
        if self.scene.is_distributed:
            disks = [
                Disk(
                    (*service.kinds, *dead_letters.KINDS),
                    self._codec,
                    name=f"store of {service.name}",
                    apart=self.scene.is_apart,
                )
                for service in SERVICES
            ]
        else:
            disks = [Disk(KINDS, self._codec)]
        for disk in disks:
            disk.observer = self._committed
        return disks

    def _places(self) -> list[tuple[str, Sequence[str], Disk]]:
        if not self.scene.is_distributed:
            return [("all", NAMES, self.disks[0])]
        return [
            (f"{service}-{number}", (service,), disk)
            for service, disk in zip(NAMES, self.disks, strict=True)
            for number in range(1, self.scene.replicas[service] + 1)
        ]

    # -- finding one another --------------------------------------------------------------------------------------

    def _find(self, service: str) -> Process:
        return find_running(self.machines, service, self._pick)

    def _hearer(self, service: str) -> tuple[Owner, Inbound] | None:
        try:
            process = self._find(service)
        except NobodyThere:
            return None
        return process, process.inbound

    # -- watching -------------------------------------------------------------------------------------------------

    def _order_put(self, order_id: str, body: bytes) -> None:
        if b'"status":"Pending"' in body:
            if order_id not in self._pending:
                self._pending.add(order_id)
                self.chaos.meets(Situation.PENDING)
        elif order_id in self._pending:
            self._pending.discard(order_id)
            is_had = b'"status":"Reserved"' in body
            self.chaos.meets(Situation.PENDING_FINISHED if is_had else Situation.PENDING_ENDED)

    def _committed(self, commit: Commit, entries: Sequence[Outgoing]) -> None:
        if self.trace.on:
            self._tell(commit)
        self.events += len(entries)
        found = self.checker.commit(
            [
                Write(f"{put.kind.service}/{put.kind.name}", put.id, put.expected + 1, body, commit.partition)
                for put, body in with_addresses(commit.puts)
            ],
            [entry.body for entry in entries],
            commit.handled,
        )
        self._judge(found)
        for put in commit.puts:
            if put.kind.name == "order":
                self._order_put(put.id, put.body)
            elif put.kind.name == "event" and b'"late":true' in put.body:
                self.chaos.meets(Situation.ORPHAN)
            elif put.kind == HEAD and b'"sealed_at":' in put.body:
                self.chaos.meets(Situation.SEALED)
            elif put.kind.name == "waiting" and b'"dueAt":' in put.body:
                self.chaos.meets(Situation.KEPT)
        for event in commit.events:
            self._situation(event)
            self.people.happened(event)
            self.movers.happened(event)
            self.people.offline_doors.happened(event)
            self.receivers.happened(event)

    def _tell(self, commit: Commit) -> None:
        puts = ", ".join(f"{put.id} v{put.expected + 1}{_status_in(put.body)}" for put in commit.puts)
        events = ", ".join(
            f"{event.type} {event.id}{f' <- {event.causationid}' if event.causationid else ''}"
            for event in commit.events
        )
        self.trace.say(OWNER.get().name, f"commits {puts}{f' | {events}' if events else ''}")

    def _published(self, entries: Sequence[Outgoing]) -> None:
        for entry in entries:
            if entry.body not in self._poison:
                self._judge(self.checker.published(entry.body))

    def poison(self, body: bytes) -> None:
        """Somebody has put this where events are."""
        topic = CATALOGUE.topics[self._pick(len(CATALOGUE.topics))]
        if self.broker is None:
            self._poison[body] = [topic.source]
            self.disks[0].spoil(topic.name, body)
        else:
            self._poison[body] = self.broker.take_from_anybody(topic.name, body)

    def _booked(self, key: str, movement: Movement, amount: Money) -> None:
        captured, refunded, charges = self._ledger.get(key, (0, 0, 0))
        if movement is Movement.CAPTURE:
            captured, charges = captured + amount.amount, charges + 1
        else:
            refunded += amount.amount
        self._ledger[key] = captured, refunded, charges
        if self.trace.on:
            self.trace.say("provider", f"$$ {movement} {amount} under {key}")
        line = LedgerLine(key=key, captured=captured, refunded=refunded, charges=charges)
        self._judge(self.checker.money(line.key, captured=line.captured, refunded=line.refunded, charges=line.charges))

    def _noted(self, seen: Observation) -> None:
        if seen.status == 500:
            self._fail([f"{seen.method} {seen.path} was answered 500: {seen.body}"])
        for name, situation in _SITUATIONS.items():
            if seen.status == 409 and name in seen.body:
                self.chaos.meets(situation)
        if seen.path == "/tickets/admissions" and '"result":"used"' in seen.body:
            self.chaos.meets(Situation.USED)
        if seen.key is not None:
            # A kept answer is given again as it was: what it says was true when it was made, not when it was sent.
            seen = msgspec.structs.replace(seen, sent_at=None)
        self._judge(self.checker.answered(seen))

    def _judge(self, found: Sequence[Violation]) -> None:
        if found:
            self._fail([_described(violation) for violation in found])

    def surprised(self, where: str, error: BaseException) -> None:
        """An exception that nobody should see."""
        if not isinstance(error, EXPECTED):
            self._fail([f"surprise: {where}: {error!r}"])

    def misplaced(self, finding: str) -> None:
        """A party got other seats than the best."""
        self._fail([f"seats: {finding}"])

    def _unheard(self, context: Mapping[str, object]) -> None:
        error = context.get("exception")
        if not isinstance(error, EXPECTED):
            self._fail([f"surprise: {context.get('message')}: {error!r}"])

    def _fail(self, findings: Sequence[str]) -> None:
        for finding in findings:
            self.trace.say("checker", f"## {finding}")
        self.loop.fail(Broken([self.trace.short(finding) for finding in findings]))

    def _ended(self, process: Process) -> None:
        """A process is dead; its machine begins another one after a while."""
        self.trace.say(process.name, "is dead")
        wait = self.chaos.some(1.0) if self.chaos.active else 0.2
        self.loop.call_later(wait, process.machine.begin, context=OUTSIDE_CONTEXT)

    def _situation(self, event: Envelope) -> None:  # noqa: PLR0912 - a case for each situation
        meets, data = self.chaos.meets, event.data
        if event.repeated:
            self._repeated.add(event.id)
            meets(Situation.TOLD_AGAIN)
        elif event.causationid in self._repeated:
            meets(Situation.HEALED)
        match event.type:
            case "SeatsReleased" if data.reason == "hold-expired":
                meets(Situation.HOLD_EXPIRED)
            case "SeatsReserved" if "." in data.allocation.reservation_id:
                meets(Situation.RESEATED)
            case "SaleRefused":
                meets(Situation.SALE_REFUSED)
            case "PaymentRefunded":
                meets(Situation.REFUNDED)
            case "PaymentMended":
                meets(Situation.MENDED)
            case "PartRefunded":
                meets(Situation.PART_REFUNDED)
            case "SeatsReturned":
                meets(Situation.SEATS_RETURNED)
            case "PaymentFailed" if data.returned:
                meets(Situation.RETURNED)
            case "PaymentCompleted" if data.round > 1:
                meets(Situation.SECOND_ROUND)
            case "OrderPaid" if data.order_id in self._cancelled:
                meets(Situation.REVIVED)
            case "TicketAdmitted":
                meets(Situation.ADMITTED)
            case "TicketTransferred":
                meets(Situation.GIVEN_ON)
            case "SeatsMoved":
                meets(Situation.SEATS_MOVED)
            case "ScanMerged":
                meets(Situation.MERGED)
            case "OrderCancelled":
                self._cancelled.add(data.order_id)
                meets(Situation.CANCELLED_PAID if data.was_paid else Situation.CANCELLED_UNPAID)

    # -- running --------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """From the beginning to the end, or to the first thing that is broken."""
        findings: list[str] = []
        try:
            self.loop.run_until_complete(self._run())
        except Broken as broken:
            findings = broken.findings
        except (Deadlock, Livelock) as stuck:
            findings = [repr(stuck)]
        for finding in findings:
            self.trace.say("end", finding.splitlines()[0])
        return Outcome(
            self.seed,
            findings,
            self.chaos.fired,
            self.chaos.met,
            len(self.scene.plans),
            self.events,
            self.loop.steps,
            self.loop.time(),
        )

    async def _run(self) -> None:
        scene = self.scene
        if self.trace.on:
            for line in scene.lines():
                self.trace.say("scene", line)
        self.chaos.active = False
        for machine in self.machines:
            machine.begin()
        if scene.has_webhooks:
            await self.receivers.come(self._ask_webhooks)
        for concert in (*scene.concerts, AFTERWARDS):
            told = await self.door.schedule("organizer", concert)
            if told.status != 201:
                raise Broken([f"a concert could not be scheduled: {told}"])
        if scene.limits.invoice_look_seconds is not None:
            await self.door.say_invoicing(INVOICES)
        self.chaos.active = True
        storms = Storms(self.loop, self.chaos, scene, self.machines, self.people, self.poison)
        storms.gather()
        for code in scene.codes:
            await self.door.make_code(code.concert_id, code.wanted)
        self.people.come(list(scene.plans))
        self.people.organize(scene.deeds)
        Sponsors(self.door, self.chaos).all_come(scene.sponsors, self.people.begin)
        Waiters(self.door, self.chaos).all_come(scene.waiters, self.people.begin)
        if scene.is_reconciled:
            self._reconcile_now_and_then()
        if scene.has_webhooks:
            after, overlap = self.chaos.between(0, scene.fault_seconds), self._pick(2) * 30.0
            self.people.begin(self.receivers.change_secrets(self._ask_webhooks, after=after, overlap=overlap))
        await asyncio.sleep(scene.fault_seconds)
        self.trace.say("scene", "the faults stop")
        self.chaos.active = False
        storms.end()
        await self._settle()
        if scene.is_erring:
            await self._reconcile_in_the_end()
        await self._check_alive()
        await self._settle()
        self._check_end()
        await self._check_doors()
        await asyncio.sleep(0)  # if that failed, it ends here
        await self._check_report()
        await self._check_verification()
        if not self.chaos.unlogged:  # from a log with holes nothing can be rebuilt
            await self._check_replay()
        await self._check_redelivery(storms)

    def _reconcile_now_and_then(self) -> None:
        """An operator has the books compared while all goes on, by whichever process of payments there is."""

        def begin() -> None:
            try:
                process = self._find("payments")
            except NobodyThere:
                return
            inside(process, self.loop.create_task, self._begin_reconciliation(process))

        seconds = self.scene.fault_seconds
        for part in range(1, RECONCILED + 1):
            self.loop.call_later(seconds * part / RECONCILED, begin, context=OUTSIDE_CONTEXT)

    async def _begin_reconciliation(self, process: Process) -> None:
        try:
            await process.payments.reconciling.begin(since=MORNING - BOOKS_SINCE, until=None)
        except EXPECTED as trouble:
            self.trace.say(process.name, f"begins no reconciliation: {trouble!r}")

    async def _reconcile_in_the_end(self) -> None:
        """Once nothing is in flight any more, what the provider did wrong is mended or shown."""
        await asyncio.sleep(QUIET_SECONDS)
        process = self._find("payments")
        await call(process, lambda: self._begin_reconciliation(process))
        await self._settle()

    async def _ask_webhooks(self, act: Callable[[Webhooks], Awaitable[Any]]) -> Any:
        process = self._find("notifications")
        return await call(process, lambda: act(process.built["notifications"].webhooks))

    async def _check_alive(self) -> None:
        """Whatever it has been through, each process of orders sells a ticket."""
        for machine in self.machines:
            process = machine.running
            if process is not None and "orders" in machine.services:
                door = self.door.of(process)
                for _ in range(LATE_ORDERS):
                    if (why_not := await self._buys(door)) is None:
                        break
                else:
                    self._fail([f"{process.name} sells no ticket any more: {why_not}"])
                    await asyncio.sleep(0)

    async def _buys(self, door: SimulatedClient) -> str | None:
        """Why one who orders now gets no ticket; None if they get one."""
        told = await door.place("late buyer", LATE_REQUEST, None)
        if told.status not in (201, 202) or told.answer is None:
            return f"an order is answered {told.status}, {_body(told)}"
        order_id = msgspec.json.decode(told.answer.body)["id"]
        for _ in range(LATE_LOOKS):
            told = await door.show("late buyer", order_id, wait_seconds=PATIENCE_SECONDS - 1)
            if (
                told.answer is not None
                and b'"Pending"' not in told.answer.body
                and b'"Reserved"' not in told.answer.body
            ):
                return None if b'"Paid"' in told.answer.body else f"an order comes to {_body(told)}"
        return f"an order does not come to its end, after {LATE_LOOKS} answers to who waits for it: {_body(told)}"

    async def _settle(self) -> None:
        """Wait until nothing is under way any more; SETTLING_SECONDS at most."""
        quiet = 0
        deadline = self.loop.time() + SETTLING_SECONDS
        while self.loop.time() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            quiet = quiet + 1 if not self._under_way() else 0
            if quiet >= QUIET_LOOKS:
                return
        self.trace.say("scene", f"not settled: {', '.join(self._under_way())}")

    def _under_way(self) -> list[str]:
        """What is still to come to its end."""
        left = []
        passed_over = {PERSONAL.kind}  # retention has days, and is not on here
        if any(deed.kind == "postpone" and not deed.number for deed in self.scene.deeds):
            # Whoever was put on a list by an order that a crash cut off stays there until a time is known.
            passed_over.add(WAITING.kind)
        soon = rfc3339(MORNING + timedelta(seconds=self.loop.time() + SETTLING_SECONDS))
        if self.people.busy:
            left.append(f"{self.people.busy} people")
        for disk in self.disks:
            if disk.outbox:
                left.append(f"{len(disk.outbox)} events in the outbox of {disk.name}")
            for kind, rows in disk.tables.items():
                if "dueAt" in kind.indexed and kind not in passed_over:
                    at = kind.indexed.index("dueAt")
                    due = sum(row.values[at] is not None and str(row.values[at]) < soon for row in rows.values())
                    if due:
                        left.append(f"{due} of {kind.name} are due some time")
        compared = self.scene.limits.compare_after_seconds < SETTLING_SECONDS
        if compared and (reserved := self._reserved()):
            left.append(f"{reserved} orders are Reserved")
        if self.broker is not None and self.broker.under_way:
            left.append(f"{self.broker.under_way} deliveries")
        return left

    def _reserved(self) -> int:
        table = next(disk.tables[ORDERS.kind] for disk in self.disks if ORDERS.kind in disk.tables)
        return sum(b'"status":"Reserved"' in row.stored.body for row in table.values())

    def _check_end(self) -> None:
        now = MORNING + timedelta(seconds=self.loop.time())
        outbox = [entry.body for disk in self.disks for entry in disk.outbox.values()]
        found = self.checker.settled(now, outbox=outbox, grace=timedelta(seconds=2), unlogged=self.chaos.unlogged)
        findings = [_described(each) for each in found]
        findings += self._unsent()
        findings += self._without_receipt()
        findings += self._unburied()
        findings += self.receivers.missed(next(disk for disk in self.disks if NOTIFICATIONS.kind in disk.tables))
        left = self._under_way()
        if left:
            findings.append(f"not settled after {SETTLING_SECONDS:.0f} s: {', '.join(left)}")
        if findings:
            self._fail(sorted(findings))

    async def _check_doors(self) -> None:
        """Every double entry of the doors without network is named, with both places and times."""
        doors = self.people.offline_doors
        told = {}
        for concert_id in {entry.concert_id for device in doors.devices for entry in device.entries}:
            seen = await self.door.conflicts("organizer", concert_id)
            if seen.answer is None or seen.status != 200:
                self._fail([f"the conflicts of {concert_id} are answered {seen.status}"])
                return
            told[concert_id] = msgspec.json.decode(seen.answer.body)["items"]
        if wrong := doors.wrong(told, exact=not self.chaos.fired.keys() & _CLOCKS):
            self._fail(wrong)

    def _notifications(self) -> list[Notification]:
        table = next(disk.tables[NOTIFICATIONS.kind] for disk in self.disks if NOTIFICATIONS.kind in disk.tables)
        return [NOTIFICATIONS.decode(row.stored.body) for row in table.values()]

    def _returned(self, id: str) -> None:
        """A message comes back: after a while it is reported, maybe twice, and maybe the organizer sends it again."""
        wait, twice, again = self.chaos.between(0, 3), self._pick(2), self._pick(2)

        async def bring_back() -> None:
            for _ in range(1 + twice):
                await self._insist(lambda service: service.bounce({id: "5.1.1"}))
            if again:
                await self._insist(lambda service: service.retry([id]))

        self.people.later(wait, bring_back)

    async def _insist(self, ask: Callable[[Notifications], Awaitable[object]]) -> None:
        """Ask notifications until there is an answer: both may come twice."""
        while True:
            try:
                process = self._find("notifications")
                asked = partial(ask, process.built["notifications"].notifications)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await call(process, asked)
            except AlreadySent:  # it was sent by a text message, which does not come back
                return
            except (NobodyThere, Busy, StoreUnavailable, TimeoutError):
                await asyncio.sleep(0.5)
            else:
                return

    def _unsent(self) -> list[str]:
        """Messages that the platform says it sent, and that nobody got."""
        return [
            f"{each.id} is {each.status} by {each.channel}, and it was never sent"
            for each in self._notifications()
            if each.status == "Sent" and each.channel != "log" and each.id not in self._posted
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
        letters = [LETTERS.decode(row.stored.body) for disk in self.disks for row in disk.tables[LETTERS.kind].values()]
        buried = {(letter.consumer, letter.body) for letter in letters}
        return [
            f"{consumer} got {body[:60]!r} and has not buried it"
            for body, consumers in self._poison.items()
            for consumer in consumers
            if (consumer, body.decode(errors="replace")) not in buried
        ]

    async def _check_report(self) -> None:
        """The report of all sales is what payments took and gave back, and what sections sold."""
        found = await report_findings(self.disks, MachineClock(self.loop))
        if found:
            self._fail(found)
            await asyncio.sleep(0)

    async def _check_verification(self) -> None:
        """The log's own verification says that it is whole, and finds a seal that is not the one that was made."""
        (disk,) = (disk for disk in self.disks if HEAD in disk.tables)
        audit = Audit(MemoryStore(disk), MachineClock(self.loop))
        verdict = await audit.verify()
        if not verdict.ok:
            self._fail([f"the log does not verify: {verdict.broken}"])
            await asyncio.sleep(0)
        for place, row in disk.tables[HEAD].items():
            head = audit_store.head_of(row.stored).head
            if head.sealed_at is not None:
                forged = msgspec.json.encode(msgspec.structs.replace(head, hash=GENESIS))
                disk.tables[HEAD][place] = row._replace(stored=msgspec.structs.replace(row.stored, body=forged))
                verdict = await audit.verify()
                disk.tables[HEAD][place] = row
                if verdict.ok:
                    self._fail([f"the log verifies, though segment {head.segment} is sealed with another hash"])
                    await asyncio.sleep(0)
                return

    async def _check_replay(self) -> None:
        """The log, folded by the services' own replays, gives what they have."""
        disks = dict(zip(NAMES, self.disks if self.scene.is_distributed else self.disks * len(NAMES), strict=True))
        log = MemoryStore(disks["audit"])
        for replay in REPLAYS:
            service = replay.service
            (kinds,) = (each.kinds for each in SERVICES if each.name == service)
            into = MemoryStore(Disk(kinds, self._codec, apart=disks[service].apart))
            rebuild = Rebuild(AuditLog(log, self._codec), [replay], into)
            try:
                await rebuild.run()
                found = [str(difference) for difference in await rebuild.compare(MemoryStore(disks[service]))]
            except (CannotFold, NotEmpty, UnreadableEntry) as error:
                found = [repr(error)]
            if found:
                self._fail([f"replay of {service}: {each}" for each in found])
                await asyncio.sleep(0)

    async def _check_redelivery(self, storms: Storms) -> None:
        """The log, delivered again to everyone, changes nothing and sends nothing out."""
        if self.chaos.fired[Fault.DELIVERY_LOST_FOR_GOOD]:
            # What was lost comes after all, long after others made up for it: that breaks nothing, either.
            await storms.redeliver_all()
            await self._settle()
            self._check_end()
            await asyncio.sleep(0)
        before = self._standing()
        await storms.redeliver_all()
        await self._settle()
        after = self._standing()
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if changed:
            self._fail([f"delivering the log again changed {name}" for name in changed])
            await asyncio.sleep(0)

    def _standing(self) -> dict[str, object]:
        """All that the stores, the provider and the buyers have, by name."""
        standing: dict[str, object] = {f"what the provider has under {key}": it for key, it in self._ledger.items()}
        standing |= {f"how often {id} was sent": times for id, times in self._posted.items()}
        for disk in self.disks:
            for kind, rows in disk.tables.items():
                standing |= {f"{kind.service}/{kind.name} {id}": row.stored for id, row in rows.items()}
        return standing

    def close(self) -> None:
        """Throw it all away."""
        self.loop.close()


def _described(violation: Violation) -> str:
    lines = [str(violation)]
    lines += [
        f"    {fact.event.time:%H:%M:%S.%f} {fact.event.type} {fact.event.id}"
        f"{f' <- {fact.event.causationid}' if fact.event.causationid else ''}"
        for fact in violation.story
    ]
    return "\n".join(lines)


def _body(told: RequestOutcome) -> str:
    return "with nothing" if told.answer is None else bytes(told.answer.body).decode()


def _status_in(body: bytes) -> str:
    """The status in a record's JSON, for the trace."""
    marker = b'"status":"'
    at = body.find(marker)
    if at < 0:
        return ""
    end = body.find(b'"', at + len(marker))
    return f" {body[at + len(marker) : end].decode()}"
