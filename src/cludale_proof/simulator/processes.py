"""Machines and the processes on them: the real services put together over what is simulated.

A machine is switched on for the whole run; its process may be killed at any step, stopped or frozen, and is begun
anew from what the store holds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple, TypeVar, cast

from cludale.adapters.ciphers import AeadSeals
from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.embedded.bus import EmbeddedBus
from cludale.adapters.inprocess.calls import InProcessCallOffs, InProcessClosing, InProcessEntrance, InProcessSales
from cludale.kernel.backoff import Backoff
from cludale.kernel.buyers import BuyerHash
from cludale.kernel.wire import Codec
from cludale.ports.bus import Acknowledgement, Delivery, EventBus, Handler, Subscription
from cludale.ports.calling_off import Progress
from cludale.ports.contacts import ContactsUnreachable
from cludale.ports.entrance import EntranceUnreachable
from cludale.ports.invoice_pages import InvoicePage
from cludale.ports.issuer import SignInPolicy
from cludale.ports.outbox import Outgoing
from cludale.ports.programme import ProgrammeUnreachable
from cludale.ports.records import StoreUnavailable
from cludale.ports.seals import SealsOf
from cludale.ports.ticket_keys import TicketKey
from cludale.ports.ticket_pages import PagesBusy, TicketPage
from cludale.ports.wallets import NoWallets
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.dead_letters import DeadLetters
from cludale.runtime.relay import Relay
from cludale.runtime.sweeper import Sweep, Sweeper
from cludale.services.catalogue import SERVICES
from cludale.services.concerts.service import Concerts
from cludale.services.manifest import Policies
from cludale.services.notifications.webhooks import store as webhook_store
from cludale.services.orders.service import Orders
from cludale.services.payments.service import Payments
from cludale.services.tickets.codes import key_of
from cludale.services.tickets.service import Tickets
from cludale.web.access import Access
from cludale.web.ownership import Ownership
from cludale.web.responses import Response, Stream
from cludale.web.routing import marked_routes
from cludale_proof.simulator.clock import MachineClock, SimulatedIds
from cludale_proof.simulator.delivery import Broker, BrokerClient, FaultyHandler, ToldBus
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.loop import Owner, SimulatedLoop, inside
from cludale_proof.simulator.memory import Disk
from cludale_proof.simulator.network import (
    NobodyThere,
    Postman,
    RemoteCharges,
    RemoteClosing,
    RemoteDetails,
    RemoteSales,
    RemoteSeats,
    call,
)
from cludale_proof.simulator.provider import Gateway, Provider
from cludale_proof.simulator.receivers import Receivers
from cludale_proof.simulator.storage import FaultyStore
from cludale_proof.simulator.unsealing import MASTER

P = TypeVar("P")


class OneKey:
    """The key that tickets of all runs are signed with."""

    def __init__(self) -> None:
        self._keys = (key_of(b"the simulator's key of tickets 32"[:32]),)

    def all(self) -> Sequence[TicketKey]:
        """It alone."""
        return self._keys


class NoPages:
    """No run prints tickets: pages change nothing."""

    async def pdf(self, _: Sequence[TicketPage], /) -> bytes:
        """None is made."""
        raise PagesBusy

    async def svg(self, _: str, /) -> bytes:
        """None is made."""
        raise PagesBusy

    async def png(self, _: str, /) -> bytes:
        """None is made."""
        raise PagesBusy

    async def invoice(self, _: InvoicePage, /) -> bytes:
        """None is made."""
        raise PagesBusy


TICKET_KEYS = OneKey()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLimits(Policies):
    """The settings of a run, all in seconds or counts; they mean what they mean in settings.py."""

    hold_seconds: float = 6.0
    offer_seconds: float = 5.0
    max_per_order: int = 4
    sweep_seconds: float = 1.0
    pending_seconds: float = 15.0
    pending_backoff: Backoff = Backoff(0.5, 5.0)
    payment_attempt_seconds: float = 2.0
    payment_attempts: int = 4
    payment_backoff: Backoff = Backoff(0.2, 4.0)
    delivery_backoff: Backoff = Backoff(0.05, 5.0)
    delivery_attempts: int = 60
    send_seconds: float = 2.0
    ask_seconds: float = 2.0
    message_seconds: float = 60.0
    message_backoff: Backoff = Backoff(0.2, 4.0)
    messages_at_once: int = 32
    receipt_patience: int = 60
    admission_inside: int = 512
    admission_waiting: int = 1_000
    admission_backlog: int = 4_000
    relay_limit: int = 20_000
    relay_page: int = 500
    bus_batch: int = 256
    audit_attempts: int = 5
    audit_wait_seconds: float = 30.0
    audit_waiting_limit: int = 1_000
    door_opens_seconds: float = 366 * 86_400.0
    reconcile_tolerance_seconds: float = 5.0
    reconcile_look_seconds: float = 1_000_000.0
    """By far longer than a run: only where the provider errs it is shorter, so that other seeds keep their runs."""
    webhook_attempt_seconds: float = 2.0
    webhook_schedule: Sequence[float] = (0.2, 1.0, 2.0, *(5.0,) * 20)
    webhook_stop_seconds: float = 3_600.0
    invoice_look_seconds: float | None = None
    """Nobody has invoices but where a scene says so: then other seeds keep their runs."""
    compare_seconds: float = 1.0
    call_off_watch_seconds: float = 15.0
    compare_after_seconds: float = 3_600.0
    """By far longer than a run: what is lost stays lost, and is found."""


class Surroundings(NamedTuple):
    """What all processes of a run share."""

    loop: SimulatedLoop
    chaos: Chaos
    codec: Codec
    limits: RunLimits
    provider: Provider
    posted: dict[str, int]
    receivers: Receivers
    has_webhooks: bool
    hears: Mapping[str, frozenset[str]]
    """What each service hears in this run."""
    returned: Callable[[str], None]
    """Told of a message, by its id, that comes back later."""
    surprised: Callable[[str, BaseException], None]
    """Told of exceptions that nobody should see."""
    ended: Callable[["Process"], None]
    """Told when a process is dead."""
    published: Callable[[Sequence[Outgoing]], None]
    """Told of what a bus is given."""


class Machine:
    """Where a process runs; `find` tells where another service is."""

    def __init__(
        self,
        name: str,
        services: Sequence[str],
        disk: Disk,
        around: Surroundings,
        *,
        broker: Broker | None,
        find: Callable[[str], "Process"],
    ) -> None:
        self.name = name
        self.services = services
        self.disk = disk
        self.around = around
        self.broker = broker
        self.find = find
        self.clock = MachineClock(around.loop)
        self.process: Process | None = None
        self._begun = 0

    def begin(self) -> None:
        """Start a process on what the store holds."""
        self._begun += 1
        process = Process(f"{self.name}.{self._begun}", self)
        self.process = process
        self.around.chaos.trace.say(process.name, "begins")
        inside(process, process.begin)

    @property
    def running(self) -> "Process | None":
        """Its process, if there is one that lives."""
        return self.process if self.process is not None and self.process.alive else None


class Process(Owner):
    """One life of one process with some of the services."""

    def __init__(self, name: str, machine: Machine) -> None:
        super().__init__(name)
        self.machine = machine
        around = machine.around
        self._loop, self._chaos, self._surprised = around.loop, around.chaos, around.surprised
        self._around = around
        self.clock = machine.clock
        self.ids = SimulatedIds(self.clock, around.chaos.choices)
        self.access = Access(organizer_key="organizer", token_key="token")  # noqa: S106 - nothing real hangs on it
        self.built: dict[str, Any] = {}
        self._handlers: dict[str, Mapping[tuple[str, str], Callable[..., Awaitable[Response | Stream]]]] = {}
        self.handlers: dict[str, Handler] = {}
        self.sweeps: dict[str, Sweep] = {}
        self._stops: list[Callable[[], Awaitable[None]]] = []
        inside(self, self._build)

    def _build(self) -> None:
        machine, around = self.machine, self._around
        limits = around.limits
        quiet = frozenset() if around.has_webhooks else frozenset(webhook_store.KINDS)
        self.store = FaultyStore(machine.disk, self, around.chaos, is_file=machine.broker is None, quiet=quiet)
        self.admission = AdmissionControl(
            inside_limit=limits.admission_inside,
            waiting_limit=limits.admission_waiting,
            backlog=lambda: self.relay.lag,
            backlog_limit=limits.admission_backlog,
        )
        self.policies: Policies = replace(limits, partitions_apart=machine.disk.apart)
        self._lay_ways()
        self._build_services()
        self._deliver()
        self.sweeper = Sweeper(self.sweeps, every_seconds=limits.sweep_seconds, clock=self.clock)

    def _build_services(self) -> None:
        """Those of its machine, with what is watched and what can break put around their parts."""
        for manifest in SERVICES:
            if manifest.name in self.machine.services:
                running = manifest.build(self)
                self.built[manifest.name] = running.service
                self._stops += [running.stop] if running.stop is not None else []
                if running.handle is not None:
                    handle = self._watched(f"handling events for {manifest.name}", running.handle)
                    self.handlers[manifest.name] = FaultyHandler(
                        handle, self._around.chaos, self.name, self.crash, service=manifest.name
                    )
                if running.sweep is not None:
                    self.sweeps[manifest.name] = self._watched(f"sweeping {manifest.name}", running.sweep)

    def handler(self, method: str, path: str) -> Callable[..., Awaitable[Response | Stream]]:
        """What answers this route here. A service's routes are made when one is first asked for.

        Raises KeyError where its service has no such route.
        """
        service = path.split("/", 2)[1]
        if service not in self._handlers:
            (manifest,) = (each for each in SERVICES if each.name == service)
            made = manifest.api(self.built[service], self)
            self._handlers[service] = {
                (route.method, route.path): route.handle.__get__(api)
                for api in (made if isinstance(made, tuple) else (made,))
                for route in marked_routes(api)
            }
        return self._handlers[service][method, path]

    @property
    def concerts(self) -> Concerts:
        """Where its machine has that service, as the next three."""
        return cast("Concerts", self.built["concerts"])

    @property
    def orders(self) -> Orders:
        """That service."""
        return cast("Orders", self.built["orders"])

    @property
    def payments(self) -> Payments:
        """That service."""
        return cast("Payments", self.built["payments"])

    @property
    def tickets(self) -> Tickets:
        """That service."""
        return cast("Tickets", self.built["tickets"])

    def _deliver(self) -> None:
        """What takes events away from here, and what takes them in."""
        machine, around, limits = self.machine, self._around, self._around.limits
        self._bus: EmbeddedBus | None = None
        self.inbound = Inbound(
            around.codec,
            app_id=machine.services[0],
            ids=self.ids,
            backoff=limits.delivery_backoff,
            attempts=limits.delivery_attempts,
            dead_letters=DeadLetters(self.store, self.clock),
        )
        """What a sidecar delivers to, where there is one."""
        bus: EventBus
        if machine.broker is None:
            self._bus = EmbeddedBus(
                around.codec,
                ids=self.ids,
                backoff=limits.delivery_backoff,
                attempts=limits.delivery_attempts,
                dead_letters=DeadLetters(self.store, self.clock),
                batch_limit=limits.bus_batch,
            )
            bus = ToldBus(self._bus, around.published)
        else:
            bus = BrokerClient(machine.broker, around.chaos, self.name)
        self.relay = Relay(
            self.store,
            bus,
            clock=self.clock,
            ids=self.ids,
            backoff=limits.delivery_backoff,
            limit=limits.relay_limit,
            page=limits.relay_page,
            on_progress=self.admission.let_in,
        )

    def _watched(self, doing: str, act: Callable[..., Awaitable[P]]) -> Callable[..., Awaitable[P]]:
        """The same, and whatever nobody foresaw is told."""

        async def watched(*arguments: Any) -> P:
            try:
                return await act(*arguments)
            except StoreUnavailable:
                raise
            except Exception as error:
                self._surprised(f"{self.name} {doing}", error)
                raise

        return watched

    def _lay_ways(self) -> None:
        """To the other services and out of the platform: what the services are built from (`Parts`)."""
        chaos, around, name = self._chaos, self._around, self.name
        timeout_seconds = around.limits.call_seconds
        self.seats = RemoteSeats(
            chaos,
            name,
            find=self._where("concerts", lambda process: process.concerts.holding),
            kill=self.die,
            timeout_seconds=timeout_seconds,
        )
        sales = self._where("concerts", lambda process: InProcessSales(process.concerts.late_money.sale_outlook))
        self.sales = RemoteSales(chaos, name, find=sales, timeout_seconds=timeout_seconds)
        self.sale_closing = RemoteClosing(
            chaos,
            name,
            find=self._where("concerts", lambda process: InProcessClosing(process.concerts.changes.close)),
            timeout_seconds=timeout_seconds,
        )
        self.call_offs = InProcessCallOffs(self._progress)
        self.entrance = InProcessEntrance(self._admitted)
        charges = self._where("payments", lambda process: process.payments)
        self.charges = RemoteCharges(chaos, name, find=charges, timeout_seconds=timeout_seconds)
        contacts = self._where("orders", lambda process: process.orders.privacy.contacts)
        self.contacts = RemoteDetails(chaos, name, contacts, Fault.CONTACTS_AWAY, ContactsUnreachable, timeout_seconds)
        programme = self._where("concerts", lambda process: process.concerts.directory.details)
        self.programme = RemoteDetails(
            chaos, name, programme, Fault.PROGRAMME_AWAY, ProgrammeUnreachable, timeout_seconds
        )
        self.gateway = Gateway(around.provider, chaos, name, kill=self.die, pause=self.pause)
        # Apart from all other chance, so that a seed's run does not depend on who left an address.
        self.seals = AeadSeals(MASTER, random_bytes=Random(name).randbytes)  # noqa: S311 - no buyer is real
        chance = Random(f"{name} tickets").randbytes  # noqa: S311 - as above
        self.seals_of: SealsOf = lambda secret: AeadSeals(secret, random_bytes=chance)
        self.mailer = Postman(chaos, around.posted, around.returned)
        self.texts = self.mailer
        self.send_seconds = around.limits.send_seconds
        self.buyers = BuyerHash(b"buyers")
        self.file = None
        self.ticket_keys = TICKET_KEYS
        self.ticket_pages = self.invoice_pages = NoPages()
        self.webhooks = around.receivers
        self.random_bytes = Random(f"webhooks of {name}").randbytes  # noqa: S311 - no secret is real
        self.wallets = NoWallets()
        self._lay_ways_in()

    def _lay_ways_in(self) -> None:
        """What the routes are made from beside the services (`HttpParts`)."""
        self.codec = self._around.codec
        self.ownership = Ownership(self.programme, self.access.has_one_organizer)
        self.payment_methods = Gateway.methods
        self.issuer = None
        self.sign_in = SignInPolicy()
        self.address = None
        self.reachable = self._around.hears

    async def _admitted(self, order_id: str) -> frozenset[int]:
        """As tickets has it, wherever that is."""
        try:
            target, tickets = self._where("tickets", lambda process: process.tickets)()
            async with asyncio.timeout(self._around.limits.call_seconds):
                return await call(target, lambda: tickets.admitted(order_id))
        except (NobodyThere, TimeoutError) as error:
            raise EntranceUnreachable(repr(error)) from error

    async def _progress(self, concert_id: str, revision: int) -> Progress | None:
        """As orders has it, wherever that is."""
        target, orders = self._where("orders", lambda process: process.orders)()
        return await call(target, lambda: orders.progress(concert_id, revision))

    def records(self, _: str) -> FaultyStore:
        """The one store of the process."""
        return self.store

    async def deliver(self, service: str, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        """To a service here."""
        return await self.handlers[service](deliveries)

    def order_link(self, order_id: str) -> str:
        """Nobody follows it."""
        return f"https://tickets.example.com/shop/orders/{order_id}"

    def takes_work(self) -> bool:
        """Every process does."""
        return True

    def _where(self, service: str, port: Callable[["Process"], P]) -> Callable[[], tuple[Owner, P]]:
        """Finds, at each call, a process with that service, this one if it has it; and what to call there."""

        def found() -> tuple[Owner, P]:
            process = self if service in self.handlers else self.machine.find(service)
            return process, port(process)

        return found

    def begin(self) -> None:
        """Deliver, publish and sweep."""
        (self._bus or self.inbound).start(
            [Subscription(name, self._around.hears[name], handle) for name, handle in self.handlers.items()]
        )
        self.store.start()
        self.relay.start()
        self._sweeping = asyncio.get_running_loop().create_task(self.sweeper.run())

    def die(self) -> None:
        """Be killed: nothing of it runs again."""
        if self.alive:
            super().die()
            self._around.ended(self)

    def run_out_of_steps(self) -> None:
        """Be killed at some step."""
        self._chaos.count(Fault.CRASH_AT_STEP, self.name)
        self.die()

    def pause(self, seconds: float) -> None:
        """Run nothing for so long, and then go on as if nothing had been."""
        self.paused_until = max(self.paused_until, self._loop.time() + seconds)

    async def crash(self) -> None:
        """Be killed here. Never returns."""
        self.die()
        await self._loop.create_future()

    def lose_store(self) -> None:
        """The store failed: the process ends itself, soon."""
        self._loop.call_later(self._chaos.some(0.005), self.die)

    async def stop(self) -> None:
        """End in an orderly way, as a platform does."""
        self._sweeping.cancel()
        await asyncio.gather(self._sweeping, return_exceptions=True)
        await self.relay.stop()
        await (self._bus or self.inbound).stop()
        for stop in self._stops:
            await stop()
        await self.store.close()
        self.die()


def find_running(machines: Sequence[Machine], service: str, pick: Callable[[int], int]) -> Process:
    """Any living process with `service`; `pick` chooses among so many. Raises NobodyThere."""
    processes = [machine.process for machine in machines if service in machine.services and machine.running]
    living = [process for process in processes if process is not None]
    if not living:
        raise NobodyThere(service)
    return living[pick(len(living))]
