"""The world of one run: its machines, people and faults, made from a seed; and all that is seen of it on the way."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import msgspec

from cludale.adapters.dapr.inbound import Inbound
from cludale.kernel.events import Envelope
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Outgoing
from cludale.ports.records import Commit, StoreUnavailable
from cludale.runtime import dead_letters
from cludale.services import NAMES
from cludale.services.audit.store import HEAD
from cludale.services.catalogue import CATALOGUE, HEARS, KINDS, SERVICES
from cludale.services.notifications.domain import AlreadySent
from cludale.services.notifications.service import Notifications
from cludale_proof.checker import LedgerLine, SafetyChecker, Violation, Write
from cludale_proof.checker.observations import Observation
from cludale_proof.simulator.client import PATIENCE_SECONDS, SimulatedClient
from cludale_proof.simulator.delivery import HEARD_WITHOUT_WEBHOOKS, AnswerLost, Broker, BusDown
from cludale_proof.simulator.faults import Chaos, Situation
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT, OWNER, Owner, SimulatedLoop
from cludale_proof.simulator.memory import Disk
from cludale_proof.simulator.movers import Movers
from cludale_proof.simulator.network import NobodyThere, call
from cludale_proof.simulator.people import People
from cludale_proof.simulator.plan import Scene, scene_of
from cludale_proof.simulator.processes import Machine, Process, Surroundings, find_running
from cludale_proof.simulator.provider import Movement, Provider
from cludale_proof.simulator.receivers import Receivers
from cludale_proof.simulator.trace import Trace
from cludale_proof.simulator.unsealing import with_addresses

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
        self.checker = SafetyChecker(
            skew=self.scene.skew,
            segment_entries=self.scene.limits.audit_segment_entries,
            apart=self.scene.is_distributed and self.scene.is_apart,
        )
        self.events = 0
        self.pick = choices.randrange
        self.codec = Codec(CATALOGUE)
        self.posted: dict[str, int] = {}
        self._pending: set[str] = set()
        self._cancelled: set[str] = set()
        self._repeated: set[str] = set()
        """Events that tell a fact again."""
        self.ledger: dict[str, tuple[int, int, int]] = {}
        self.poisoned: dict[bytes, list[str]] = {}
        """What nobody can read, and who has to bury it."""
        self.receivers = Receivers(self.chaos, self.codec, lambda finding: self.fail([finding]))
        hears = HEARS if self.scene.has_webhooks else HEARD_WITHOUT_WEBHOOKS
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
            codec=self.codec,
            limits=self.scene.limits,
            provider=self.provider,
            posted=self.posted,
            receivers=self.receivers,
            has_webhooks=self.scene.has_webhooks,
            hears=hears,
            returned=self._returned,
            surprised=self.surprised,
            ended=self._ended,
            published=self._published,
        )
        self.broker = (
            Broker(self.codec, self.chaos, hears, self._hearer, self._published) if self.scene.is_distributed else None
        )
        self.disks = self._disks()
        self.machines = [
            Machine(name, services, disk, around, broker=self.broker, find=self.find)
            for name, services, disk in self._places()
        ]
        self.client = SimulatedClient(self.chaos, self.find, self._noted, self.surprised)
        self.people = People(self.client, self.chaos, hold_seconds=self.scene.limits.hold_seconds)
        self.movers = Movers(
            self.client,
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
                    self.codec,
                    name=f"store of {service.name}",
                    apart=self.scene.is_apart,
                )
                for service in SERVICES
            ]
        else:
            disks = [Disk(KINDS, self.codec)]
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

    def find(self, service: str) -> Process:
        """A process of this service that runs. Raises NobodyThere."""
        return find_running(self.machines, service, self.pick)

    def _hearer(self, service: str) -> tuple[Owner, Inbound] | None:
        try:
            process = self.find(service)
        except NobodyThere:
            return None
        return process, process.inbound

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
            if wrong := self.people.entered.happened(event):
                self.fail([wrong])
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
            if entry.body not in self.poisoned:
                self._judge(self.checker.published(entry.body))

    def poison(self, body: bytes) -> None:
        """Somebody has put this where events are."""
        topic = CATALOGUE.topics[self.pick(len(CATALOGUE.topics))]
        if self.broker is None:
            self.poisoned[body] = [topic.source]
            self.disks[0].spoil(topic.name, body)
        else:
            self.poisoned[body] = self.broker.take_from_anybody(topic.name, body)

    def _booked(self, key: str, movement: Movement, amount: Money) -> None:
        captured, refunded, charges = self.ledger.get(key, (0, 0, 0))
        if movement is Movement.CAPTURE:
            captured, charges = captured + amount.amount, charges + 1
        else:
            refunded += amount.amount
        self.ledger[key] = captured, refunded, charges
        if self.trace.on:
            self.trace.say("provider", f"$$ {movement} {amount} under {key}")
        line = LedgerLine(key=key, captured=captured, refunded=refunded, charges=charges)
        self._judge(self.checker.money(line.key, captured=line.captured, refunded=line.refunded, charges=line.charges))

    def _noted(self, seen: Observation) -> None:
        if seen.status == 500:
            self.fail([f"{seen.method} {seen.path} was answered 500: {seen.body}"])
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
            self.fail([described(violation) for violation in found])

    def surprised(self, where: str, error: BaseException) -> None:
        """An exception that nobody should see."""
        if not isinstance(error, EXPECTED):
            self.fail([f"surprise: {where}: {error!r}"])

    def misplaced(self, finding: str) -> None:
        """A party got other seats than the best."""
        self.fail([f"seats: {finding}"])

    def _unheard(self, context: Mapping[str, object]) -> None:
        error = context.get("exception")
        if not isinstance(error, EXPECTED):
            self.fail([f"surprise: {context.get('message')}: {error!r}"])

    def fail(self, findings: Sequence[str]) -> None:
        """The run ends here, with these."""
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

    def _returned(self, id: str) -> None:
        """A message comes back: after a while it is reported, maybe twice, and maybe the organizer sends it again."""
        wait, twice, again = self.chaos.between(0, 3), self.pick(2), self.pick(2)

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
                process = self.find("notifications")
                asked = partial(ask, process.built["notifications"].notifications)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await call(process, asked)
            except AlreadySent:  # it was sent by a text message, which does not come back
                return
            except (NobodyThere, Busy, StoreUnavailable, TimeoutError):
                await asyncio.sleep(0.5)
            else:
                return

    def close(self) -> None:
        """Throw it all away."""
        self.loop.close()


def described(violation: Violation) -> str:
    """The rule that is broken, and the order's events."""
    lines = [str(violation)]
    lines += [
        f"    {fact.event.time:%H:%M:%S.%f} {fact.event.type} {fact.event.id}"
        f"{f' <- {fact.event.causationid}' if fact.event.causationid else ''}"
        for fact in violation.story
    ]
    return "\n".join(lines)


def _status_in(body: bytes) -> str:
    """The status in a record's JSON, for the trace."""
    marker = b'"status":"'
    at = body.find(marker)
    if at < 0:
        return ""
    end = body.find(b'"', at + len(marker))
    return f" {body[at + len(marker) : end].decode()}"
