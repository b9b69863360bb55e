"""One run from its beginning to its end, or to the first thing that is broken."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from cludale.kernel.money import Money
from cludale.services.concerts.scheduling import ScheduleConcert
from cludale.services.notifications.webhooks.service import Webhooks
from cludale.services.orders.invoices.settings_api import SayInvoicing
from cludale_proof.simulator.clock import MORNING
from cludale_proof.simulator.ending import Ending
from cludale_proof.simulator.faults import Fault, Situation
from cludale_proof.simulator.halls import looked_at
from cludale_proof.simulator.logs import heard
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT, Deadlock, Livelock, inside
from cludale_proof.simulator.network import NobodyThere, call
from cludale_proof.simulator.processes import Process
from cludale_proof.simulator.sponsors import Sponsors
from cludale_proof.simulator.storms import Storms
from cludale_proof.simulator.trace import Trace
from cludale_proof.simulator.waiters import Waiters
from cludale_proof.simulator.world import EXPECTED, Broken, World

AFTERWARDS = ScheduleConcert(
    id="concert-afterwards", artist="Late", date="2027-06-06", total_seats=100, price=Money(1000, "EUR")
)
INVOICES = SayInvoicing(
    on=True, name="Organizer", address="1 Main Street", tax_name="VAT", tax_percent=8.875, zone="Pacific/Auckland"
)
RECONCILED = 6
"""How often the provider's books are compared while all goes on."""
BOOKS_SINCE = timedelta(days=1)
QUIET_SECONDS = 60.0
"""How long nothing happens before they are compared in the end: longer than what counts as in flight."""


class RunOutcome(NamedTuple):
    """What came of a run. `findings` is empty if nothing was broken."""

    seed: int
    findings: list[str]
    fired: Mapping[Fault, int]
    met: Mapping[Situation, int]
    again: Mapping[tuple[str, str], int]
    """How often a service was given an event of a type again that it had handled."""
    orders: int
    events: int
    steps: int
    virtual_seconds: float


def run(seed: int, trace: Trace | None = None, *, themes: Sequence[str] | None = None) -> RunOutcome:
    """The run of this seed, the same each time; with these themes instead of the seed's own, another run."""
    world = World(seed, trace or Trace(), themes)
    with heard(world.trace, world.surprised, EXPECTED), looked_at(world.misplaced):
        try:
            return Course(world).run()
        finally:
            world.close()


class Course:
    """What happens in a world, one thing after another."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ending = Ending(world)

    def run(self) -> RunOutcome:
        """From the beginning to the end, or to the first thing that is broken."""
        world = self._world
        findings: list[str] = []
        try:
            world.loop.run_until_complete(self._run())
        except Broken as broken:
            findings = broken.findings
        except (Deadlock, Livelock) as stuck:
            findings = [repr(stuck)]
        for finding in findings:
            world.trace.say("end", finding.splitlines()[0])
        return RunOutcome(
            world.seed,
            findings,
            world.chaos.fired,
            world.chaos.met,
            world.chaos.again,
            len(world.scene.plans),
            world.events,
            world.loop.steps,
            world.loop.time(),
        )

    async def _run(self) -> None:
        world = self._world
        scene = world.scene
        if world.trace.on:
            for line in scene.lines():
                world.trace.say("scene", line)
        world.chaos.active = False
        for machine in world.machines:
            machine.begin()
        if scene.has_webhooks:
            await world.receivers.come(self._ask_webhooks)
        for concert in (*scene.concerts, AFTERWARDS):
            told = await world.client.ask("organizer", "POST", "/concerts", concert)
            if told.status != 201:
                raise Broken([f"a concert could not be scheduled: {told}"])
        if scene.limits.invoice_look_seconds is not None:
            await world.client.ask("organizer", "PUT", "/orders/invoices/settings", INVOICES)
        world.chaos.active = True
        storms = Storms(world.loop, world.chaos, scene, world.machines, world.people, world.poison)
        storms.gather()
        for code in scene.codes:
            path = "/concerts/{concert_id}/codes"
            await world.client.ask("organizer", "POST", path, code.wanted, of=code.concert_id)
        world.people.come(list(scene.plans))
        world.people.organize(scene.deeds)
        Sponsors(world.client).all_come(scene.sponsors, world.people.begin)
        Waiters(world.client).all_come(scene.waiters, world.people.begin)
        if scene.is_reconciled:
            self._reconcile_now_and_then()
        if scene.has_webhooks:
            after, overlap = world.chaos.between(0, scene.fault_seconds), world.pick(2) * 30.0
            world.people.begin(world.receivers.change_secrets(self._ask_webhooks, after=after, overlap=overlap))
        await asyncio.sleep(scene.fault_seconds)
        world.trace.say("scene", "the faults stop")
        world.chaos.active = False
        storms.end()
        await self._ending.settle()
        if scene.is_erring:
            await self._reconcile_in_the_end()
        await self._ending.check_alive()
        await self._ending.settle()
        self._ending.check_end()
        await self._ending.check_doors()
        await asyncio.sleep(0)  # if that failed, it ends here
        await self._ending.check_report()
        await self._ending.check_verification()
        if not world.chaos.unlogged:  # from a log with holes nothing can be rebuilt
            await self._ending.check_replay()
        await self._ending.check_redelivery(storms)

    def _reconcile_now_and_then(self) -> None:
        """An operator has the books compared while all goes on, by whichever process of payments there is."""
        world = self._world

        def begin() -> None:
            try:
                process = world.find("payments")
            except NobodyThere:
                return
            inside(process, world.loop.create_task, self._begin_reconciliation(process))

        seconds = world.scene.fault_seconds
        for part in range(1, RECONCILED + 1):
            world.loop.call_later(seconds * part / RECONCILED, begin, context=OUTSIDE_CONTEXT)

    async def _begin_reconciliation(self, process: Process) -> None:
        try:
            await process.payments.reconciling.begin(since=MORNING - BOOKS_SINCE, until=None)
        except EXPECTED as trouble:
            self._world.trace.say(process.name, f"begins no reconciliation: {trouble!r}")

    async def _reconcile_in_the_end(self) -> None:
        """Once nothing is in flight any more, what the provider did wrong is mended or shown."""
        await asyncio.sleep(QUIET_SECONDS)
        process = self._world.find("payments")
        await call(process, lambda: self._begin_reconciliation(process))
        await self._ending.settle()

    async def _ask_webhooks(self, act: Callable[[Webhooks], Awaitable[Any]]) -> Any:
        process = self._world.find("notifications")
        return await call(process, lambda: act(process.built["notifications"].webhooks))
