"""Faults that come by the clock: kills, freezes, outages, clocks that jump, events delivered again from the log."""

import asyncio
from collections.abc import Callable, Sequence

from cludale.kernel.refusals import Busy
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.records import StoreUnavailable
from cludale.services.audit.replay import Redelivery
from cludale.services.audit.store import Filter
from cludale.services.concerts.api import Reserve
from cludale_proof.simulator.client import PATIENCE_SECONDS
from cludale_proof.simulator.delivery import FACILITY as BUS
from cludale_proof.simulator.delivery import AnswerLost
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT, SimulatedLoop, inside
from cludale_proof.simulator.network import SEATS, NobodyThere, call
from cludale_proof.simulator.people import People
from cludale_proof.simulator.plan import CLOCK_JUMP_SECONDS, MACHINE_SKEW_SECONDS, Scene
from cludale_proof.simulator.processes import Machine, Process, find_running
from cludale_proof.simulator.provider import FACILITY as PROVIDER

_POISONS = (
    b"\xff\xfe no JSON at all %d",
    b'{"specversion":"1.0","type":"SeatsTeleported","id":"poison-%d","source":"elsewhere","data":{}}',
    b'{"specversion":"1.0","type":"OrderPaid","id":"poison-%d","source":"orders","data":{}}',
    b'{"id":"poison-%d","data":' + 3_000 * b"[",
    b'{"id":"poison-%d","data":"' + 300_000 * b"x" + b'"}',
)
"""What nobody can read: no JSON, no event of ours, one without its data, one without end, a very long one."""


class Storms:
    """Sends what is due by the clock, as often as the scene's weather says."""

    def __init__(
        self,
        loop: SimulatedLoop,
        chaos: Chaos,
        scene: Scene,
        machines: Sequence[Machine],
        people: People,
        poison: Callable[[bytes], None],
    ) -> None:
        self._loop = loop
        self._chaos = chaos
        self._scene = scene
        self._machines = machines
        self._people = people
        self._poison = poison
        self._poisoned = 0
        self._codec = machines[0].around.codec

    def gather(self) -> None:
        """Decide when each of them strikes."""
        timed: dict[Fault, Callable[[], None]] = {
            Fault.CRASH_AT_STEP: self._crash_at_step,
            Fault.PAUSED: self._pause,
            Fault.STOPPED: self._stop,
            Fault.STORE_OUTAGE: self._store_outage,
            Fault.BUS_OUTAGE: lambda: self._outage(Fault.BUS_OUTAGE, BUS),
            Fault.POISON: self._poison_somebody,
            Fault.PARTITION: lambda: self._outage(Fault.PARTITION, SEATS),
            Fault.PROVIDER_OUTAGE: lambda: self._outage(Fault.PROVIDER_OUTAGE, PROVIDER),
            Fault.CLOCK_FORWARD: lambda: self._jump(Fault.CLOCK_FORWARD, 1),
            Fault.CLOCK_BACK: lambda: self._jump(Fault.CLOCK_BACK, -1),
            Fault.RESERVED_WITHOUT_ORDER: self._reserve,
            Fault.REDELIVERED: self._redeliver,
        }
        chaos = self._chaos
        if chaos.choices.random() < chaos.rate(Fault.CLOCK_SKEW):
            self._skew()
        for fault, strike in timed.items():
            rate = chaos.rate(fault)
            often = int(rate) + (chaos.choices.random() < rate - int(rate))
            for _ in range(often):
                after = chaos.between(0, self._scene.fault_seconds)
                self._loop.call_later(after, strike, context=OUTSIDE_CONTEXT)

    def end(self) -> None:
        """The weather clears up: clocks are right again, nobody is about to be killed."""
        for machine in self._machines:
            machine.clock.offset_seconds = 0.0
            if machine.process is not None:
                machine.process.steps_to_live = None

    def _machine(self) -> Machine:
        return self._chaos.choices.choice(self._machines)

    def _crash_at_step(self) -> None:
        process = self._machine().running
        if process is not None and self._chaos.active:
            process.steps_to_live = int(self._chaos.some(60.0))

    def _pause(self) -> None:
        process = self._machine().running
        if process is not None and self._chaos.active:
            seconds = self._chaos.between(0.3, 8.0)
            process.pause(seconds)
            self._chaos.count(Fault.PAUSED, process.name, f"for {seconds:.2f} s")

    def _stop(self) -> None:
        process = self._machine().running
        if process is not None and self._chaos.active:
            self._chaos.count(Fault.STOPPED, process.name)
            inside(process, self._loop.create_task, process.stop())

    def _store_outage(self) -> None:
        self._outage(Fault.STORE_OUTAGE, self._machine().disk.name)

    def _outage(self, fault: Fault, facility: str) -> None:
        if self._chaos.active:
            seconds = self._chaos.between(0.3, 6.0)
            self._chaos.begin_outage(facility, until=self._loop.time() + seconds)
            self._chaos.count(fault, facility, f"for {seconds:.2f} s")

    def _poison_somebody(self) -> None:
        if self._chaos.active:
            self._poisoned += 1
            body = self._chaos.choices.choice(_POISONS) % self._poisoned
            self._chaos.count(Fault.POISON, "somebody", lambda: repr(body[:60]))
            self._poison(body)

    def _jump(self, fault: Fault, direction: int) -> None:
        if not self._chaos.active:
            return
        machine = self._machine()
        wanted = machine.clock.offset_seconds + direction * self._chaos.between(0.05, CLOCK_JUMP_SECONDS)
        machine.clock.offset_seconds = max(-CLOCK_JUMP_SECONDS, min(CLOCK_JUMP_SECONDS, wanted))
        self._chaos.count(fault, machine.name, f"is now {machine.clock.offset_seconds:+.3f} s off")

    def _skew(self) -> None:
        for machine in self._machines:
            machine.clock.offset_seconds = self._chaos.between(-MACHINE_SKEW_SECONDS, MACHINE_SKEW_SECONDS)
            self._chaos.count(Fault.CLOCK_SKEW, machine.name, f"{machine.clock.offset_seconds:+.3f} s")

    def _reserve(self) -> None:
        if not self._chaos.active:
            return
        choices = self._chaos.choices
        concert = choices.choice(self._scene.concerts)
        section = choices.choice(concert.sections or ()).id if choices.random() < 0.5 else None
        key = f"hold-{choices.randrange(10**6)}" if choices.random() < 0.6 else None
        wanted = Reserve(quantity=choices.randint(1, 2), section=section)
        self._chaos.count(Fault.RESERVED_WITHOUT_ORDER, "organizer")
        self._people.begin(self._people.hold_without_order(concert.id or "", wanted, key))

    def _redeliver(self) -> None:
        if self._chaos.active:
            self._chaos.count(Fault.REDELIVERED, "organizer")
            self._people.begin(self.redeliver_all())

    async def redeliver_all(self) -> None:
        """The organizer has all of the audit log delivered again, to everyone who hears it."""
        try:
            audit = self._find("audit")
            redelivery = Redelivery(
                audit.store, self._codec, deliver=self._deliver, hears=self._machines[0].around.hears
            )
            await redelivery.by_filter(Filter(), None)
        except (NobodyThere, Busy, StoreUnavailable, AnswerLost, TimeoutError) as error:
            self._chaos.trace.say("organizer", f"could not deliver again: {error!r}")

    async def _deliver(self, service: str, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        process = self._find(service)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await call(process, lambda: process.deliver(service, deliveries))

    def _find(self, service: str) -> Process:
        return find_running(self._machines, service, self._chaos.choices.randrange)
