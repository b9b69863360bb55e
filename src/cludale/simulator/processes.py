"""Machines and the processes on them: the real services put together over what is simulated.

A machine is switched on for the whole run; its process may be killed at any step, stopped or frozen, and is begun
anew from what the store holds.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.embedded.bus import EmbeddedBus
from cludale.http.access import Access
from cludale.kernel.wire import Codec
from cludale.ports.bus import Answer, Delivery, EventBus, Handler, Subscription
from cludale.ports.contacts import Contact
from cludale.ports.outbox import Outgoing
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import Kind, StoreUnavailable
from cludale.ports.sales import SaleOutlook, SaleQuestion
from cludale.runtime import dead_letters
from cludale.runtime.backoff import Backoff
from cludale.runtime.dead_letters import DeadLetters
from cludale.runtime.gate import Gate
from cludale.runtime.relay import Relay
from cludale.runtime.replay import Replay
from cludale.runtime.sweeper import Sweep, Sweeper
from cludale.services.audit import manifest as audit_manifest
from cludale.services.audit import store as audit_store
from cludale.services.audit.service import Audit
from cludale.services.catalogue import CATALOGUE
from cludale.services.concerts import manifest as concerts_manifest
from cludale.services.concerts import store as concerts_store
from cludale.services.concerts.api import ConcertsApi
from cludale.services.concerts.replay import ConcertsReplay
from cludale.services.concerts.service import Concerts
from cludale.services.notifications import manifest as notifications_manifest
from cludale.services.notifications import store as notifications_store
from cludale.services.notifications.replay import NotificationsReplay
from cludale.services.notifications.service import Notifications
from cludale.services.orders import manifest as orders_manifest
from cludale.services.orders import store as orders_store
from cludale.services.orders.api import OrdersApi
from cludale.services.orders.comparison import Comparison
from cludale.services.orders.replay import OrdersReplay
from cludale.services.orders.service import Orders
from cludale.services.payments import manifest as payments_manifest
from cludale.services.payments import store as payments_store
from cludale.services.payments.api import PaymentsApi
from cludale.services.payments.replay import PaymentsReplay
from cludale.services.payments.service import Payments
from cludale.simulator.clock import MachineClock, SimulatedIds
from cludale.simulator.delivery import Broker, BrokerClient, FaultyHandler, ToldBus
from cludale.simulator.faults import Chaos, Fault
from cludale.simulator.loop import Owner, SimulatedLoop, inside
from cludale.simulator.memory import Disk
from cludale.simulator.network import (
    NobodyThere,
    Postman,
    RemoteCharges,
    RemoteContacts,
    RemoteProgramme,
    RemoteSales,
    RemoteSeats,
)
from cludale.simulator.provider import Gateway, Provider
from cludale.simulator.storage import FaultyStore

SERVICES = ("concerts", "orders", "payments", "notifications", "audit")
HEARS: Mapping[str, frozenset[str]] = {
    "concerts": concerts_manifest.HEARS,
    "orders": orders_manifest.HEARS,
    "payments": payments_manifest.HEARS,
    "notifications": notifications_manifest.HEARS,
    "audit": audit_manifest.HEARS,
}
REPLAYS: Mapping[str, Replay] = {
    "concerts": ConcertsReplay(),
    "orders": OrdersReplay(),
    "payments": PaymentsReplay(),
    "notifications": NotificationsReplay(),
}
KINDS: Mapping[str, tuple[Kind, ...]] = {
    "concerts": concerts_store.KINDS,
    "orders": orders_store.KINDS,
    "payments": payments_store.KINDS,
    "notifications": notifications_store.KINDS,
    "audit": audit_store.KINDS,
    "delivery": dead_letters.KINDS,
}


class Limits(NamedTuple):
    """The settings of a run, all in seconds or counts; they mean what they mean in settings.py."""

    hold_seconds: float = 6.0
    max_per_order: int = 4
    sweep_seconds: float = 1.0
    reserve_timeout_seconds: float = 2.0
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
    gate_inside: int = 512
    gate_waiting: int = 1_000
    gate_backlog: int = 4_000
    relay_limit: int = 20_000
    relay_page: int = 500
    bus_batch: int = 256
    audit_patience: int = 2
    audit_attempts: int = 5
    audit_wait_seconds: float = 30.0
    audit_waiting_limit: int = 1_000
    audit_recent: int = 32_768
    compare_seconds: float = 1.0
    compare_after_seconds: float = 3_600.0
    """By far longer than a run: what is lost stays lost, and is found."""


class Surroundings(NamedTuple):
    """What all processes of a run share."""

    loop: SimulatedLoop
    chaos: Chaos
    codec: Codec
    limits: Limits
    provider: Provider
    posted: dict[str, int]
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
        self.handlers: dict[str, Handler] = {}
        self.sweeps: dict[str, Sweep] = {}
        self._stops: list[Callable[[], Awaitable[None]]] = []
        inside(self, self._build)

    def _build(self) -> None:
        machine, around = self.machine, self._around
        limits = around.limits
        self.store = FaultyStore(machine.disk, self, around.chaos, is_file=machine.broker is None)
        self.gate = Gate(
            inside_limit=limits.gate_inside,
            waiting_limit=limits.gate_waiting,
            backlog=lambda: self.relay.lag,
            backlog_limit=limits.gate_backlog,
        )
        build = {
            "concerts": self._concerts,
            "orders": self._orders,
            "payments": self._payments,
            "notifications": self._notifications,
            "audit": self._audit,
        }
        for service in machine.services:
            build[service]()
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
            on_progress=self.gate.let_in,
        )
        self.sweeper = Sweeper(self.sweeps, every_seconds=limits.sweep_seconds, clock=self.clock)

    def _hear(self, service: str, handle: Handler) -> None:
        """Take events for `service`, over a bad way."""
        chaos = self._chaos
        self.handlers[service] = FaultyHandler(self._watched(handle), chaos, self.name, self.crash, service=service)

    def _watched(self, handle: Handler) -> Handler:
        async def watched(deliveries: Sequence[Delivery]) -> Sequence[Answer]:
            try:
                return await handle(deliveries)
            except StoreUnavailable:
                raise
            except Exception as error:
                self._surprised(f"{self.name} handling {', '.join(d.event.type for d in deliveries)}", error)
                raise

        return watched

    def _sweep(self, service: str, sweep: Sweep) -> None:
        async def watched() -> int:
            try:
                return await sweep()
            except StoreUnavailable:
                raise
            except Exception as error:
                self._surprised(f"{self.name} sweeping {service}", error)
                raise

        self.sweeps[service] = watched

    def _concerts(self) -> None:
        limits = self._around.limits
        self.concerts = Concerts(
            self.store,
            clock=self.clock,
            ids=self.ids,
            hold_seconds=limits.hold_seconds,
            max_per_order=limits.max_per_order,
            gate=self.gate,
            partitions_apart=self.machine.disk.apart,
        )
        self.concerts_api = ConcertsApi(self.concerts, self.store, self.access)
        self._hear("concerts", self.concerts.handle)
        self._sweep("concerts", self.concerts.sweep)

    def _orders(self) -> None:
        limits = self._around.limits
        seats = RemoteSeats(
            self._chaos,
            self.name,
            find=self._seats,
            kill=self.die,
            timeout_seconds=limits.reserve_timeout_seconds,
        )
        self.comparison = Comparison(
            self.store,
            clock=self.clock,
            ids=self.ids,
            charges=RemoteCharges(
                self._chaos, self.name, find=self._charges, timeout_seconds=limits.reserve_timeout_seconds
            ),
            sales=RemoteSales(self._chaos, self.name, find=self._sales, timeout_seconds=limits.reserve_timeout_seconds),
            every_seconds=limits.compare_seconds,
            after_seconds=limits.compare_after_seconds,
        )
        self.orders = Orders(
            self.store,
            clock=self.clock,
            ids=self.ids,
            seats=seats,
            pending_backoff=limits.pending_backoff,
            pending_seconds=limits.pending_seconds,
            gate=self.gate,
            comparison=self.comparison,
        )
        self.orders_api = OrdersApi(self.orders, self.store, self.access, methods=Gateway.methods)
        self._hear("orders", self.orders.handle)
        self._sweep("orders", self.orders.sweep)

    def _seats(self) -> tuple[Owner, Concerts]:
        process = self if "concerts" in self.handlers else self.machine.find("concerts")
        return process, process.concerts

    def _sales(self) -> tuple[Owner, "OwnSales"]:
        process = self if "concerts" in self.handlers else self.machine.find("concerts")
        return process, OwnSales(process.concerts)

    def _charges(self) -> tuple[Owner, Payments]:
        process = self if "payments" in self.handlers else self.machine.find("payments")
        return process, process.payments

    def _contacts(self) -> tuple[Owner, "OwnContacts"]:
        process = self if "orders" in self.handlers else self.machine.find("orders")
        return process, OwnContacts(process.orders)

    def _programme(self) -> tuple[Owner, "OwnProgramme"]:
        process = self if "concerts" in self.handlers else self.machine.find("concerts")
        return process, OwnProgramme(process.concerts)

    def _payments(self) -> None:
        limits, around = self._around.limits, self._around
        self.payments = Payments(
            self.store,
            clock=self.clock,
            ids=self.ids,
            gateway=Gateway(around.provider, around.chaos, self.name, kill=self.die, pause=self.pause),
            sales=RemoteSales(self._chaos, self.name, find=self._sales, timeout_seconds=limits.reserve_timeout_seconds),
            attempt_seconds=limits.payment_attempt_seconds,
            attempts=limits.payment_attempts,
            backoff=limits.payment_backoff,
            hold_seconds=limits.hold_seconds,
            retell_seconds=limits.compare_after_seconds,
        )
        self.payments_api = PaymentsApi(self.payments, self.store, self.access, methods=Gateway.methods)
        self._hear("payments", self.payments.handle)
        self._sweep("payments", self.payments.sweep)
        self._stops.append(self.payments.stop)

    def _notifications(self) -> None:
        limits, around = self._around.limits, self._around
        self.notifications = Notifications(
            self.store,
            clock=self.clock,
            ids=self.ids,
            contacts=RemoteContacts(around.chaos, self.name, find=self._contacts),
            programme=RemoteProgramme(around.chaos, self.name, find=self._programme),
            mailer=Postman(around.chaos, around.posted),
            texts=Postman(around.chaos, around.posted),
            ask_seconds=limits.ask_seconds,
            send_seconds=limits.send_seconds,
            try_seconds=limits.message_seconds,
            patience=limits.delivery_attempts,
            backoff=limits.message_backoff,
            concurrency=limits.messages_at_once,
        )
        self._hear("notifications", self.notifications.handle)
        self._sweep("notifications", self.notifications.sweep)
        self._stops.append(self.notifications.stop)

    def _audit(self) -> None:
        limits = self._around.limits
        self.audit = Audit(
            self.store,
            self.clock,
            patience=limits.audit_patience,
            attempts=limits.audit_attempts,
            wait_seconds=limits.audit_wait_seconds,
            waiting_limit=limits.audit_waiting_limit,
            recent_limit=limits.audit_recent,
        )
        self._hear("audit", self.audit.handle)
        self._sweep("audit", self.audit.sweep)

    def begin(self) -> None:
        """Deliver, publish and sweep."""
        (self._bus or self.inbound).start(
            [Subscription(name, HEARS[name], handle) for name, handle in self.handlers.items()]
        )
        self.store.start()
        self.relay.start()
        self.sweeper.start()

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
        await self.sweeper.stop()
        await self.relay.stop()
        await (self._bus or self.inbound).stop()
        for stop in self._stops:
            await stop()
        await self.store.close()
        self.die()


class OwnSales:
    """What a concerts service says of late money, as the port has it."""

    def __init__(self, concerts: Concerts) -> None:
        self._concerts = concerts

    async def outlook(self, question: SaleQuestion) -> SaleOutlook:
        """What would come of money for these seats."""
        return await self._concerts.sale_outlook(question)


class OwnContacts:
    """The contacts of an orders service, as the port has them."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    async def of(self, order_ids: Sequence[str]) -> Mapping[str, Contact]:
        """The contacts of these orders."""
        return await self._orders.contacts(order_ids)


class OwnProgramme:
    """What a concerts service knows of its concerts, as the port has it."""

    def __init__(self, concerts: Concerts) -> None:
        self._concerts = concerts

    async def of(self, concert_ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        """Those of the concerts that there are."""
        return await self._concerts.details(concert_ids)


def codec() -> Codec:
    """The codec of all events."""
    return Codec(CATALOGUE)


def find_running(machines: Sequence[Machine], service: str, pick: Callable[[int], int]) -> Process:
    """Any living process with `service`; `pick` chooses among so many. Raises NobodyThere."""
    processes = [machine.process for machine in machines if service in machine.services and machine.running]
    living = [process for process in processes if process is not None]
    if not living:
        raise NobodyThere(service)
    return living[pick(len(living))]
