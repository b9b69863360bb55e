"""The only wiring: which services, over which adapters, from Settings. Nothing else knows the whole."""

import asyncio
import hmac
import logging
import os
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cludale import __version__
from cludale.adapters.cosmos import layout as cosmos_layout
from cludale.adapters.dapr.bus import DaprBus
from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.dapr.publisher import Publisher
from cludale.adapters.dapr.routes import AppToken, Consumption, sidecar_routes
from cludale.adapters.dapr.sidecar import HOST as SIDECAR_HOST
from cludale.adapters.dapr.sidecar import SecretMissing, Sidecar, SidecarAway
from cludale.adapters.dapr.state import store as dapr_state
from cludale.adapters.embedded.bus import EmbeddedBus
from cludale.adapters.http_calls.calls import HttpContacts, HttpSeats
from cludale.adapters.inprocess.calls import InProcessContacts, InProcessSeats
from cludale.adapters.log_messages import LoggedMessages
from cludale.adapters.simulated_payments import METHODS, Ledger, SimulatedProvider
from cludale.adapters.simulated_payments.records_ledger import RecordsLedger
from cludale.adapters.smtp import Encryption, SmtpMailer
from cludale.adapters.sqlite import SqliteStore, StoreFailed, open_readonly
from cludale.adapters.system.clock import SystemClock, SystemIds
from cludale.adapters.system.keys import kept_key
from cludale.demo import demo_concerts
from cludale.http.access import Access
from cludale.http.routing import Express
from cludale.kernel.events import Cause
from cludale.kernel.wire import Codec
from cludale.ports.bus import Subscription
from cludale.ports.contacts import Contacts
from cludale.ports.messengers import Mailer
from cludale.ports.outbox import Outbox
from cludale.ports.records import Key, Kind, Page, Query, Records, Stored
from cludale.ports.seats import Seats
from cludale.runtime import dead_letters
from cludale.runtime.backoff import Backoff
from cludale.runtime.dead_letters import DeadLetters
from cludale.runtime.gate import Gate
from cludale.runtime.relay import Relay
from cludale.runtime.replay import Replay
from cludale.runtime.service import Service
from cludale.runtime.sweeper import Sweeper
from cludale.services.audit import manifest as audit_manifest
from cludale.services.audit import store as audit_store
from cludale.services.audit.replay import Redelivery
from cludale.services.audit.service import Audit
from cludale.services.catalogue import CATALOGUE
from cludale.services.concerts import manifest as concerts_manifest
from cludale.services.concerts import store as concerts_store
from cludale.services.concerts.replay import ConcertsReplay
from cludale.services.concerts.service import Concerts, Search
from cludale.services.notifications import manifest as notifications_manifest
from cludale.services.notifications import store as notifications_store
from cludale.services.notifications.replay import NotificationsReplay
from cludale.services.notifications.service import Notifications
from cludale.services.orders import manifest as orders_manifest
from cludale.services.orders import store as orders_store
from cludale.services.orders.replay import OrdersReplay
from cludale.services.orders.service import Orders
from cludale.services.payments import manifest as payments_manifest
from cludale.services.payments import store as payments_store
from cludale.services.payments.replay import PaymentsReplay
from cludale.services.payments.service import Payments
from cludale.settings import OTLP_PROTOCOL, Settings
from cludale.telemetry.trouble import NoTelemetry, not_installed
from cludale.web import dead_letters as dead_letters_api
from cludale.web.app import Admit

if TYPE_CHECKING:
    from cludale.adapters.cosmos.store import CosmosStore
    from cludale.telemetry.switch import Telemetry

SERVICES = ("concerts", "orders", "payments", "notifications", "audit")
HEARS: Mapping[str, frozenset[str]] = {
    "concerts": concerts_manifest.HEARS,
    "orders": orders_manifest.HEARS,
    "payments": payments_manifest.HEARS,
    "notifications": notifications_manifest.HEARS,
    "audit": audit_manifest.HEARS,
}
"""Which events each service hears, for whoever sets up a broker."""
STORE = "cludale.db"
LEDGER = "simulated-provider.db"

LOOK_AGAIN_SECONDS = 0.25
LOOK_AGAIN_ALONE_SECONDS = 5.0
"""How often `GET /orders/{id}?wait=` looks by itself: where one process does everything, it is told."""

KINDS: tuple[Kind, ...] = (
    *concerts_store.KINDS,
    *orders_store.KINDS,
    *payments_store.KINDS,
    *notifications_store.KINDS,
    *audit_store.KINDS,
    *dead_letters.KINDS,
)

RANGED = ("time", "buriedAt")
"""Fields that are asked for by range only, for a store that needs to know."""

SECRETS_SECONDS = 60.0
"""How long a start waits for the secret store."""

_log = logging.getLogger(__name__)


async def with_secrets(settings: Settings) -> Settings:
    """The settings with what the Dapr secret store has of those that are not set; as they are without a store.

    A secret is called as its setting, with hyphens: `organizer-key`, `database-url`. Raises MissingSetting.
    """
    store = settings.secrets
    if store is None:
        return settings
    sidecar = Sidecar(settings.dapr_http_port, settings.dapr_api_token)
    try:
        async with asyncio.timeout(SECRETS_SECONDS):
            await sidecar.wait(settings.sidecar_seconds)
            found = {field: await sidecar.secret(store, field.replace("_", "-")) for field in settings.absent_secrets()}
    except (TimeoutError, SidecarAway, SecretMissing) as error:
        raise MissingSetting(f"the secret store {store!r} (CLUDALE_SECRETS) can't be asked: {error!r}") from error
    finally:
        await sidecar.close()
    values = {field: value for field, value in found.items() if value is not None}
    _log.info("from the secret store %r: %s", store, ", ".join(values) or "nothing")
    return settings.with_values(values)


def new_store(path: Path) -> SqliteStore:
    """A store of all kinds for a tool. Raises what opening a store raises."""
    return SqliteStore(path, KINDS, Codec(CATALOGUE))


class Reader(Protocol):
    """What a tool reads records from."""

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """As Records."""
        ...

    async def find(self, kind: Kind, query: Query) -> Page:
        """As Records."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


async def store_to_read(where: Path | str) -> Reader:
    """The existing store in this file, or in the PostgreSQL database at this address: for a tool, beside servers."""
    if isinstance(where, Path):
        return open_readonly(where, KINDS)
    try:
        from cludale.adapters.postgres import PostgresReader  # noqa: PLC0415 - only this shape needs asyncpg
    except ModuleNotFoundError as missing:
        raise _without_asyncpg(missing) from missing
    return await PostgresReader.open(where, KINDS)


def audit_over(records: Records) -> Audit:
    """The audit service over a store, to ask it."""
    return Audit(records, SystemClock())


def replays() -> list[Replay]:
    """How each service that keeps state is rebuilt from the log."""
    return [ConcertsReplay(), OrdersReplay(), PaymentsReplay(), NotificationsReplay()]


class MissingSetting(Exception):
    """Something that these services need is not there; the message says what to set or install."""


class Store(Records, Outbox, Protocol):
    """What compose asks of a store besides its ports."""

    async def start(self) -> None:
        """Open what could not be opened at once."""
        ...

    async def close(self) -> None:
        """Write what waits, and let go."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A part with figures for the operator."""

    def gauges(self) -> Mapping[str, float]:
        """By metric name."""
        ...


class Platform:
    """Some or all of the services, put together over one store, on one event loop."""

    def __init__(self, settings: Settings, only: Collection[str] = SERVICES) -> None:
        """Open the store and build the services. Call on the event loop.

        Raises MissingSetting, and what opening a store raises.
        """
        _check(settings, only)
        self.settings = settings
        self.whole = set(only) == set(SERVICES)
        data: Path = settings.data_dir
        data.mkdir(parents=True, exist_ok=True)
        self.clock = SystemClock()
        self.ids = SystemIds()
        self.access = Access(
            organizer_key=settings.organizer_key or kept_key(data / "organizer.key"),
            token_key=_token_key(settings),
        )
        self.telemetry = _telemetry(settings, only)
        self.store: Store = _store(settings, only)
        self.dead_letters = DeadLetters(self.store, self.clock)
        delivery = Backoff(settings.delivery_backoff_seconds, settings.delivery_backoff_max_seconds)
        self.sidecar = Sidecar(settings.dapr_http_port, settings.dapr_api_token) if settings.dapr else None
        self._inbound: Inbound | None = None
        self.bus = self._bus(delivery, only)
        self.gate = Gate(
            inside_limit=settings.gate_inside,
            waiting_limit=settings.gate_waiting,
            waiting_seconds=settings.gate_seconds,
            backlog=lambda: self.relay.lag,
            backlog_limit=settings.gate_backlog_events,
        )
        self.relay = Relay(
            self.store,
            self.bus if self.telemetry is None else self.telemetry.bus(self.bus),
            clock=self.clock,
            ids=self.ids,
            backoff=delivery,
            on_progress=self.gate.let_in,
        )
        self._waited_for: list[Callable[[], None]] = [self.gate.close]
        """Each lets those go who wait for something with a connection open."""
        self._closing: list[HttpSeats | HttpContacts | SimulatedProvider] = []
        self.services: Sequence[Service] = [self._with_dead_letters(service) for service in self._build(only)]
        if self.telemetry is not None:
            self.services = [self.telemetry.service(each) for each in self.services]
        sweeps = {service.name: service.sweep for service in self.services if service.sweep is not None}
        self.sweeper = Sweeper(sweeps, every_seconds=settings.sweep_seconds, clock=self.clock)
        self.ready = False
        self._joining: asyncio.Task[None] | None = None
        self.internal: Express = {}
        """Routes for the sidecar, below the framework."""
        self.admit: Admit | None = None
        """Looks at each request before anything else does."""
        if self.sidecar is not None and self._inbound is not None:
            token = AppToken(settings.app_api_token or "")
            self.admit = token.check_call
            self.internal = sidecar_routes(
                CATALOGUE,
                self._inbound,
                self.sidecar,
                token,
                Consumption(wanted=settings.consume, is_ready=lambda: self.ready),
                self.access,
                heard=frozenset().union(*(service.hears for service in self.services)),
                app_id=_app_id(settings, only),
                pubsub=settings.pubsub,
            )

    def _bus(self, delivery: Backoff, only: Collection[str]) -> EmbeddedBus | DaprBus:
        settings = self.settings
        codec = Codec(CATALOGUE)
        if self.sidecar is None:
            return EmbeddedBus(
                codec,
                ids=self.ids,
                backoff=delivery,
                attempts=settings.delivery_attempts,
                dead_letters=self.dead_letters,
            )
        self._inbound = Inbound(
            codec,
            app_id=_app_id(settings, only),
            ids=self.ids,
            backoff=delivery,
            attempts=settings.delivery_attempts,
            dead_letters=self.dead_letters,
        )
        return DaprBus(self.sidecar, Publisher(self.sidecar, settings.pubsub), self._inbound, CATALOGUE)

    def _with_dead_letters(self, service: Service) -> Service:
        routes = dead_letters_api.routes(
            service.name, self.dead_letters, Codec(CATALOGUE), self.bus.deliver, self.access
        )
        return service._replace(routes=[*service.routes, *routes])

    def _records(self, service: str) -> Records:
        """The store, as `service` sees it."""
        return self.store if self.telemetry is None else self.telemetry.records(service, self.store)

    def _build(self, only: Collection[str]) -> list[Service]:
        """Each service that is wanted here, in the order of `SERVICES`."""
        settings, access = self.settings, self.access
        services: list[Service] = []
        concerts = Concerts(
            self._records("concerts"),
            clock=self.clock,
            ids=self.ids,
            hold_seconds=settings.hold_seconds,
            max_per_order=settings.max_per_order,
            gate=self.gate,
            commit_limit=_commit_limit(settings),
            partitions_apart=settings.cosmos_endpoint is not None,
        )
        self.concerts = concerts
        if self.telemetry is not None:
            self.telemetry.turns(concerts.turns)
        if "concerts" in only:
            services.append(concerts_manifest.build(concerts, self._records("concerts"), access))
        if "orders" in only:
            services.append(orders_manifest.build(self._orders(only), self._records("orders"), access))
        if "payments" in only:
            services.append(payments_manifest.build(self._payments(), self._records("payments"), access))
        if "notifications" in only:
            services.append(notifications_manifest.build(self._notifications(only), access))
        if "audit" in only:
            # An event waits for its cause for half of its deliveries, then it is recorded without: never lost.
            audit = Audit(
                self._records("audit"),
                self.clock,
                patience=max(1, settings.delivery_attempts // 2),
                commit_limit=_commit_limit(settings),
            )
            # Without a sidecar only those can be reached that are here, with one all of them.
            hears = HEARS if self.sidecar is not None else {each.name: each.hears for each in services}
            redelivery = Redelivery(self.store, Codec(CATALOGUE), deliver=self.bus.deliver, hears=hears)
            services.append(audit_manifest.build(audit, redelivery, access))
        return services

    def _orders(self, only: Collection[str]) -> Orders:
        settings = self.settings
        self.orders = Orders(
            self._records("orders"),
            clock=self.clock,
            ids=self.ids,
            seats=self._seats(only),
            pending_backoff=Backoff(settings.pending_backoff_seconds, settings.pending_backoff_max_seconds),
            pending_seconds=settings.pending_seconds,
            look_again_seconds=LOOK_AGAIN_ALONE_SECONDS if self.whole else LOOK_AGAIN_SECONDS,
            gate=self.gate,
        )
        self._waited_for.append(self.orders.end_waiting)
        return self.orders

    def _seats(self, only: Collection[str]) -> Seats:
        if self.telemetry is None:
            return self._concerts_called(only)
        return self.telemetry.seats(self._concerts_called(only))

    def _concerts_called(self, only: Collection[str]) -> Seats:
        if "concerts" in only:
            hold = self.concerts.hold
            return InProcessSeats(hold if self.telemetry is None else self.telemetry.hold(hold))
        seats = HttpSeats(
            _concerts_url(self.settings),
            self.access.organizer_key,
            timeout_seconds=self.settings.reserve_timeout_seconds,
            headers=_through_sidecar(self.settings, "concerts"),
        )
        self._closing.append(seats)
        return seats

    def _payments(self) -> Payments:
        settings = self.settings
        provider = SimulatedProvider(_ledger(settings), clock=self.clock, slow_seconds=settings.payment_slow_seconds)
        self._closing.append(provider)
        return Payments(
            self._records("payments"),
            clock=self.clock,
            ids=self.ids,
            gateway=provider if self.telemetry is None else self.telemetry.gateway(provider),
            attempt_seconds=settings.payment_attempt_seconds,
            attempts=settings.payment_attempts,
            backoff=Backoff(settings.payment_backoff_seconds, settings.payment_backoff_max_seconds),
            hold_seconds=settings.hold_seconds,
        )

    def _notifications(self, only: Collection[str]) -> Notifications:
        settings = self.settings
        contacts: Contacts
        if "orders" in only:
            contacts = InProcessContacts(self.orders.contacts)
        else:
            http = HttpContacts(
                _orders_url(settings),
                self.access.organizer_key,
                timeout_seconds=settings.reserve_timeout_seconds,
                headers=_through_sidecar(settings, "orders"),
            )
            self._closing.append(http)
            contacts = http
        mailer: Mailer = self._mailer()
        texts: Mailer = LoggedMessages("text message")
        if self.telemetry is not None:
            mailer = self.telemetry.messenger(mailer, "email")
            texts = self.telemetry.messenger(texts, "text")
        return Notifications(
            self._records("notifications"),
            clock=self.clock,
            ids=self.ids,
            contacts=contacts,
            mailer=mailer,
            texts=texts,
            send_seconds=settings.smtp_timeout_seconds,
            attempts=settings.message_attempts,
            backoff=Backoff(settings.message_backoff_seconds, settings.message_backoff_max_seconds),
        )

    def _mailer(self) -> Mailer:
        settings = self.settings
        if settings.smtp_host is None:
            return LoggedMessages("e-mail")
        return SmtpMailer(
            settings.smtp_host,
            settings.smtp_port,
            sender=settings.smtp_from,
            encryption=Encryption.STARTTLS if settings.smtp_starttls else Encryption.NONE,
            timeout_seconds=settings.smtp_timeout_seconds,
            clock=self.clock,
            user=settings.smtp_user,
            password=settings.smtp_password,
        )

    async def start(self) -> None:
        """Open what lies elsewhere; then deliver and sweep, once there is a bus. Raises what opening a store raises.

        Without a sidecar one service alone keeps its events in the outbox: there is no bus between processes.
        """
        await self.store.start()
        if self.settings.demo and "concerts" in {service.name for service in self.services}:
            await self._put_on_demo()
        hearing = [Subscription(s.name, s.hears, s.handle) for s in self.services if s.handle is not None]
        if self.sidecar is not None:
            self.bus.start(hearing)
            self._joining = asyncio.get_running_loop().create_task(self._join(self.sidecar))
            return
        if self.whole:
            self.bus.start(hearing)
            self.relay.start()
        else:
            _log.warning(
                "only %s here: events stay in the outbox, for there is no bus between processes",
                ", ".join(service.name for service in self.services),
            )
        self.sweeper.start()
        self.ready = True

    async def _join(self, sidecar: Sidecar) -> None:
        """Begin once the sidecar is there; it waits for this process to listen, so this can't be waited for."""
        await sidecar.wait(self.settings.sidecar_seconds)
        self.relay.start()
        self.sweeper.start()
        self.ready = True
        _log.info("the Dapr sidecar is there: %s", ", ".join(service.name for service in self.services))

    async def _put_on_demo(self) -> None:
        known, _ = await self.concerts.search(Search(limit=1))
        if not known:
            for concert in demo_concerts(self.clock.now(), max_per_order=self.settings.max_per_order):
                await self.concerts.schedule(concert, Cause())

    def stopping(self) -> None:
        """Keep nobody waiting who has a connection: what is in flight is answered before `stop`."""
        for let_go in self._waited_for:
            let_go()

    async def stop(self) -> None:
        """Finish nothing new, keep everything: what is under way goes on at the next start."""
        self.ready = False
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.gather(self._joining, return_exceptions=True)
        await self.sweeper.stop()
        await self.relay.stop()
        await self.bus.stop()
        for service in self.services:
            await service.stop()
        for part in self._closing:
            await part.close()
        if self.sidecar is not None:
            await self.sidecar.close()
        await self.store.close()
        if self.telemetry is not None:
            await self.telemetry.stop()

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_events_under_way": self.relay.lag,
            "cludale_events_published_total": self.relay.published,
            "cludale_dead_letters_total": self.dead_letters.buried,
            "cludale_holds_waiting": self.concerts.turns.waiting,
            "cludale_gate_inside": self.gate.inside,
            "cludale_gate_waiting": self.gate.waiting,
            "cludale_gate_turned_away_total": self.gate.turned_away,
            **{f'cludale_queue_depth{{service="{name}"}}': depth for name, depth in self.bus.depths.items()},
            **(
                {
                    "cludale_events_delivered_total": self._inbound.delivered,
                    "cludale_events_too_early_total": self._inbound.too_early,
                }
                if self._inbound is not None
                else {}
            ),
            **(self.store.gauges() if isinstance(self.store, Watched) else {}),
        }


def _store(settings: Settings, only: Collection[str]) -> Store:
    """PostgreSQL, Cosmos DB or a Dapr state store if one is named, else SQLite in the data folder."""
    if settings.audit_state is not None:
        return dapr_state.StateStore(
            Sidecar(settings.dapr_http_port, settings.dapr_api_token),
            settings.audit_state,
            [*audit_store.KINDS, *dead_letters.KINDS],
            Codec(CATALOGUE),
            ranged=RANGED,
        )
    if settings.database_url is not None:
        return _postgres_store(settings.database_url, only)
    if settings.cosmos_endpoint is not None:
        found = [each for each in cosmos_layout.SERVICE_CONTAINERS if {each.name} == set(only)]
        return _cosmos_store(settings, found[0] if found else cosmos_layout.SHARED_CONTAINER)
    return SqliteStore(settings.data_dir / STORE, KINDS, Codec(CATALOGUE), on_fatal=_end_process)


def _without_asyncpg(missing: ModuleNotFoundError) -> MissingSetting:
    return MissingSetting(f"CLUDALE_DATABASE_URL needs the package {missing.name}: pip install 'cludale[distributed]'")


def _postgres_store(url: str, only: Collection[str]) -> Store:
    """One schema a process: the service's own, or one for several."""
    try:
        from cludale.adapters.postgres import PostgresStore  # noqa: PLC0415 - only this shape needs asyncpg
    except ModuleNotFoundError as missing:
        raise _without_asyncpg(missing) from missing
    kinds = [kind for kind in KINDS if kind.service in only or kind in dead_letters.KINDS]
    schema = next(iter(only)) if len(only) == 1 else "cludale"
    return PostgresStore(url, kinds, Codec(CATALOGUE), schema=schema)


def _cosmos_store(settings: Settings, container: cosmos_layout.Container, *, has_outbox: bool = True) -> "CosmosStore":
    """The store in one container, with the account's key or this machine's identity."""
    try:
        from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - only this shape needs it

        from cludale.adapters.cosmos.store import CosmosStore  # noqa: PLC0415 - only this shape needs azure-cosmos
    except ModuleNotFoundError as missing:
        raise MissingSetting(
            f"CLUDALE_COSMOS_ENDPOINT is set, and the package {missing.name} is not there: pip install 'cludale[azure]'"
        ) from missing
    return CosmosStore(
        settings.cosmos_endpoint or "",
        settings.cosmos_key or DefaultAzureCredential(),
        Codec(CATALOGUE),
        container,
        database=settings.cosmos_database,
        has_outbox=has_outbox,
    )


def _commit_limit(settings: Settings) -> int | None:
    """The most records and inbox entries in one commit, if the store has a limit."""
    if settings.audit_state is not None:
        return dapr_state.COMMIT_OPERATIONS
    return None if settings.cosmos_endpoint is None else cosmos_layout.COMMIT_OPERATIONS


def _telemetry(settings: Settings, only: Collection[str]) -> "Telemetry | None":
    """Telemetry, if there is anywhere to send it. Raises NoTelemetry."""
    if settings.otlp_endpoint is None and settings.application_insights is None:
        return None
    if settings.otlp_endpoint is not None and settings.otlp_protocol != OTLP_PROTOCOL:
        _log.warning(
            "OTEL_EXPORTER_OTLP_PROTOCOL=%s is not spoken here: %s gets OTLP over HTTP (%s), which a collector usually "
            "takes at port 4318",
            settings.otlp_protocol,
            settings.otlp_endpoint,
            OTLP_PROTOCOL,
        )
    try:
        from cludale.telemetry.switch import Telemetry  # noqa: PLC0415 - an extra, and slow to load
    except ImportError as missing:
        variable, extra = (
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "distributed")
            if settings.otlp_endpoint is not None
            else ("APPLICATIONINSIGHTS_CONNECTION_STRING", "azure")
        )
        raise not_installed(variable, extra, missing) from missing
    return Telemetry(
        [each for each in SERVICES if each in only],
        version=__version__,
        otlp_endpoint=settings.otlp_endpoint,
        connection_string=settings.application_insights,
    )


def _ledger(settings: Settings) -> Path | Ledger:
    """The simulated provider's: where all replicas of payments find it."""
    if settings.cosmos_endpoint is not None:
        return RecordsLedger(_cosmos_store(settings, cosmos_layout.PROVIDER_CONTAINER, has_outbox=False))
    if settings.database_url is None:
        return settings.data_dir / LEDGER
    from cludale.adapters.simulated_payments.shared_ledger import SharedLedger  # noqa: PLC0415 - it needs asyncpg

    return SharedLedger(settings.database_url)


def _check(settings: Settings, only: Collection[str]) -> None:
    """Is everything said that these services need? Before anything is opened."""
    if settings.database_url is not None and settings.cosmos_endpoint is not None:
        raise MissingSetting("there can be one store: unset CLUDALE_DATABASE_URL or CLUDALE_COSMOS_ENDPOINT")
    if settings.audit_state is not None:
        if not settings.dapr or set(only) != {"audit"}:
            raise MissingSetting(
                "CLUDALE_AUDIT_STATE is for `cludale serve audit` with CLUDALE_DAPR=1: a state store has no outbox, "
                "so it keeps nothing for services that publish"
            )
        if settings.database_url is not None or settings.cosmos_endpoint is not None:
            raise MissingSetting(
                "there can be one store: unset CLUDALE_AUDIT_STATE, or CLUDALE_DATABASE_URL and CLUDALE_COSMOS_ENDPOINT"
            )
    if settings.dapr:
        if settings.app_api_token is None:
            raise MissingSetting(
                "CLUDALE_DAPR needs APP_API_TOKEN, the same for the sidecar and here: without it anyone who reaches "
                "this port could deliver events"
            )
        _app_id(settings, only)
        if set(only) != set(SERVICES) and settings.organizer_key is None:
            raise MissingSetting("services behind sidecars call each other with one key: set CLUDALE_ORGANIZER_KEY")
    if "orders" in only and "concerts" not in only:
        _concerts_url(settings)
    if "notifications" in only and "orders" not in only:
        _orders_url(settings)


def _app_id(settings: Settings, only: Collection[str]) -> str:
    if settings.app_id is not None:
        return settings.app_id
    if len(set(only)) != 1:
        raise MissingSetting("several services behind one sidecar need APP_ID, its app id")
    return next(iter(only))


def _token_key(settings: Settings) -> str:
    """What orders' access tokens follow from: all replicas of orders need the same."""
    if settings.token_key is not None:
        return settings.token_key
    if settings.dapr and settings.organizer_key is not None:
        return hmac.digest(settings.organizer_key.encode(), b"cludale access tokens", "sha256").hex()
    return kept_key(settings.data_dir / "token.key")


def _through_sidecar(settings: Settings, app_id: str) -> dict[str, str]:
    """The headers of a call that goes through the sidecar."""
    if not settings.dapr:
        return {}
    token = {"dapr-api-token": settings.dapr_api_token} if settings.dapr_api_token else {}
    return {"dapr-app-id": app_id, **token}


def _concerts_url(settings: Settings) -> str:
    if settings.dapr:
        return f"http://{SIDECAR_HOST}:{settings.dapr_http_port}"
    if settings.concerts_url is None:
        raise MissingSetting("orders without concerts needs CLUDALE_CONCERTS_URL: where concerts is")
    return settings.concerts_url


def _orders_url(settings: Settings) -> str:
    if settings.dapr:
        return f"http://{SIDECAR_HOST}:{settings.dapr_http_port}"
    if settings.orders_url is None:
        raise MissingSetting("notifications without orders needs CLUDALE_ORDERS_URL: where orders is")
    return settings.orders_url


def _end_process(failed: StoreFailed) -> None:
    _log.critical("the store failed: %s. Ending, so that the next start recovers from what is on the disk.", failed)
    os.kill(os.getpid(), signal.SIGKILL)


__all__ = ["KINDS", "METHODS", "SERVICES", "MissingSetting", "NoTelemetry", "Platform"]
