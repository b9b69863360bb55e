"""The services, each put together with what it needs from outside."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from cludale.adapters.dapr.bus import DaprBus
from cludale.adapters.embedded.bus import EmbeddedBus
from cludale.adapters.http_calls.calls import HttpCharges, HttpContacts, HttpProgramme, HttpSales, HttpSeats
from cludale.adapters.inprocess.calls import (
    InProcessCharges,
    InProcessContacts,
    InProcessProgramme,
    InProcessSales,
    InProcessSeats,
)
from cludale.adapters.log_messages import LoggedMessages
from cludale.adapters.simulated_payments import METHODS, SimulatedProvider
from cludale.adapters.smtp import Encryption, SmtpMailer
from cludale.adapters.system.clock import SystemClock, SystemIds
from cludale.compose.needs import concerts_url, orders_url, sidecar_url, through_sidecar
from cludale.compose.roster import HEARS, SERVICES
from cludale.compose.stores import Store, commit_limit, ledger
from cludale.http.access import Access
from cludale.kernel.wire import Codec
from cludale.ports.charges import Charges
from cludale.ports.contacts import Contacts
from cludale.ports.messengers import Mailer
from cludale.ports.programme import Programme
from cludale.ports.records import Records
from cludale.ports.sales import Sales
from cludale.ports.seats import Seats
from cludale.runtime.backoff import Backoff
from cludale.runtime.dead_letters import DeadLetters
from cludale.runtime.gate import Gate
from cludale.runtime.service import Service
from cludale.services.audit import manifest as audit_manifest
from cludale.services.audit.replay import Redelivery
from cludale.services.audit.service import Audit
from cludale.services.catalogue import CATALOGUE
from cludale.services.concerts import manifest as concerts_manifest
from cludale.services.concerts.service import Concerts
from cludale.services.notifications import manifest as notifications_manifest
from cludale.services.notifications.service import Notifications
from cludale.services.orders import manifest as orders_manifest
from cludale.services.orders.comparison import Comparison
from cludale.services.orders.service import Orders
from cludale.services.payments import manifest as payments_manifest
from cludale.services.payments.service import Payments
from cludale.settings import Settings
from cludale.web import dead_letters as dead_letters_api

if TYPE_CHECKING:
    from cludale.telemetry.switch import Telemetry

LOOK_AGAIN_SECONDS = 0.25
LOOK_AGAIN_ALONE_SECONDS = 5.0
"""How often `GET /orders/{id}?wait=` looks by itself: where one process does everything, it is told."""


ASK_SECONDS = 10.0
"""How long notifications waits for addresses, and for concerts, of all the messages that it is about to send."""


class ServiceBuilder:
    """Builds those of the services that are wanted here, and keeps what they have open outside."""

    def __init__(
        self,
        settings: Settings,
        only: Collection[str],
        *,
        store: Store,
        bus: EmbeddedBus | DaprBus,
        gate: Gate,
        dead_letters: DeadLetters,
        access: Access,
        clock: SystemClock,
        ids: SystemIds,
        telemetry: "Telemetry | None",
    ) -> None:
        self._settings = settings
        self._only = only
        self._store = store
        self._bus = bus
        self._gate = gate
        self._dead_letters = dead_letters
        self._access = access
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self.concerts = self._concerts()
        self.orders: Orders
        """There if orders is wanted."""
        self.payments: Payments
        """There if payments is wanted."""
        self.comparison: Comparison | None = None
        """There if orders is wanted."""
        self._charges = InProcessCharges()
        self.notifications: Notifications | None = None
        self.closing: list[
            HttpSeats | HttpSales | HttpCharges | HttpContacts | HttpProgramme | SimulatedProvider | SmtpMailer
        ] = []
        """What is to be closed in the end."""
        self.waited_for: list[Callable[[], None]] = [gate.close]
        """Each lets those go who wait for something with a connection open."""

    def build(self) -> list[Service]:
        """Each service that is wanted, in the order of `SERVICES`."""
        services = [self._with_dead_letters(service) for service in self._build()]
        return services if self._telemetry is None else [self._telemetry.service(each) for each in services]

    def _with_dead_letters(self, service: Service) -> Service:
        routes = dead_letters_api.routes(
            service.name, self._dead_letters, Codec(CATALOGUE), self._bus.deliver, self._access
        )
        return service._replace(routes=[*service.routes, *routes])

    def _records(self, service: str) -> Records:
        """The store, as `service` sees it."""
        return self._store if self._telemetry is None else self._telemetry.records(service, self._store)

    def _concerts(self) -> Concerts:
        concerts = Concerts(
            self._records("concerts"),
            clock=self._clock,
            ids=self._ids,
            hold_seconds=self._settings.hold_seconds,
            max_per_order=self._settings.max_per_order,
            gate=self._gate,
            commit_limit=commit_limit(self._settings),
            partitions_apart=self._settings.cosmos_endpoint is not None,
        )
        if self._telemetry is not None:
            self._telemetry.turns(concerts.turns)
        return concerts

    def _build(self) -> list[Service]:
        settings, access, only = self._settings, self._access, self._only
        services: list[Service] = []
        if "concerts" in only:
            services.append(concerts_manifest.build(self.concerts, self._records("concerts"), access))
        if "orders" in only:
            services.append(orders_manifest.build(self._orders(), self._records("orders"), access, methods=METHODS))
        if "payments" in only:
            services.append(
                payments_manifest.build(self._payments(), self._records("payments"), access, methods=METHODS)
            )
        if "notifications" in only:
            services.append(notifications_manifest.build(self._notifications(), access))
        if "audit" in only:
            # Where there is no room to keep an event, it waits for half of its deliveries: never lost.
            audit = Audit(
                self._records("audit"),
                self._clock,
                attempts=max(1, settings.delivery_attempts // 2),
                wait_seconds=settings.audit_wait_seconds,
                commit_limit=commit_limit(settings),
            )
            # Without a sidecar only those can be reached that are here, with one all of them.
            hears = HEARS if settings.dapr else {each.name: each.hears for each in services}
            redelivery = Redelivery(self._store, Codec(CATALOGUE), deliver=self._bus.deliver, hears=hears)
            services.append(audit_manifest.build(audit, redelivery, access))
        return services

    def _orders(self) -> Orders:
        settings = self._settings
        self.comparison = Comparison(
            self._records("orders"),
            clock=self._clock,
            ids=self._ids,
            charges=self._payments_called(),
            sales=self._sales(),
            every_seconds=settings.compare_seconds,
            after_seconds=settings.compare_after_seconds,
        )
        self.orders = Orders(
            self._records("orders"),
            clock=self._clock,
            ids=self._ids,
            seats=self._seats(),
            pending_backoff=Backoff(settings.pending_backoff_seconds, settings.pending_backoff_max_seconds),
            pending_seconds=settings.pending_seconds,
            look_again_seconds=LOOK_AGAIN_ALONE_SECONDS if set(self._only) == set(SERVICES) else LOOK_AGAIN_SECONDS,
            gate=self._gate,
            comparison=self.comparison,
        )
        self.waited_for.append(self.orders.end_waiting)
        return self.orders

    def _seats(self) -> Seats:
        if self._telemetry is None:
            return self._concerts_called()
        return self._telemetry.seats(self._concerts_called())

    def _concerts_called(self) -> Seats:
        if "concerts" in self._only:
            hold = self.concerts.hold
            return InProcessSeats(hold if self._telemetry is None else self._telemetry.hold(hold))
        seats = HttpSeats(
            concerts_url(self._settings),
            self._access.organizer_key,
            timeout_seconds=self._settings.reserve_timeout_seconds,
            headers=through_sidecar(self._settings, "concerts"),
        )
        self.closing.append(seats)
        return seats

    def _payments_called(self) -> Charges:
        if "payments" in self._only or not self._settings.dapr:
            return self._charges
        charges = HttpCharges(
            sidecar_url(self._settings),
            self._access.organizer_key,
            timeout_seconds=self._settings.reserve_timeout_seconds,
            headers=through_sidecar(self._settings, "payments"),
        )
        self.closing.append(charges)
        return charges

    def _payments(self) -> Payments:
        settings = self._settings
        provider = SimulatedProvider(ledger(settings), clock=self._clock, slow_seconds=settings.payment_slow_seconds)
        self.closing.append(provider)
        self.payments = Payments(
            self._records("payments"),
            clock=self._clock,
            ids=self._ids,
            gateway=provider if self._telemetry is None else self._telemetry.gateway(provider),
            sales=self._sales(),
            attempt_seconds=settings.payment_attempt_seconds,
            attempts=settings.payment_attempts,
            backoff=Backoff(settings.payment_backoff_seconds, settings.payment_backoff_max_seconds),
            hold_seconds=settings.hold_seconds,
            retell_seconds=settings.compare_after_seconds,
        )
        self._charges.bound = self.payments.compare
        return self.payments

    def _sales(self) -> Sales:
        if "concerts" in self._only:
            return InProcessSales(self.concerts.sale_outlook)
        sales = HttpSales(
            concerts_url(self._settings),
            self._access.organizer_key,
            timeout_seconds=self._settings.reserve_timeout_seconds,
            headers=through_sidecar(self._settings, "concerts"),
        )
        self.closing.append(sales)
        return sales

    def _notifications(self) -> Notifications:
        settings = self._settings
        contacts: Contacts
        if "orders" in self._only:
            contacts = InProcessContacts(self.orders.contacts)
        else:
            http = HttpContacts(
                orders_url(settings),
                self._access.organizer_key,
                timeout_seconds=settings.reserve_timeout_seconds,
                headers=through_sidecar(settings, "orders"),
            )
            self.closing.append(http)
            contacts = http
        mailer, send_seconds = self._mailer()
        texts: Mailer = LoggedMessages("text message")
        if self._telemetry is not None:
            mailer = self._telemetry.messenger(mailer, "email")
            texts = self._telemetry.messenger(texts, "text")
        self.notifications = Notifications(
            self._records("notifications"),
            clock=self._clock,
            ids=self._ids,
            contacts=contacts,
            programme=self._programme(),
            mailer=mailer,
            texts=texts,
            ask_seconds=ASK_SECONDS,
            send_seconds=send_seconds,
            try_seconds=settings.message_seconds,
            backoff=Backoff(settings.message_backoff_seconds, settings.message_backoff_max_seconds),
            patience=max(1, settings.delivery_attempts // 2),
            concurrency=2 * settings.smtp_connections,
        )
        return self.notifications

    def _programme(self) -> Programme:
        if "concerts" in self._only:
            return InProcessProgramme(self.concerts.details)
        programme = HttpProgramme(
            concerts_url(self._settings),
            self._access.organizer_key,
            timeout_seconds=self._settings.reserve_timeout_seconds,
            headers=through_sidecar(self._settings, "concerts"),
        )
        self.closing.append(programme)
        return programme

    def _mailer(self) -> tuple[Mailer, float]:
        """The way to a buyer's e-mail address, and how long one message may take on it."""
        settings = self._settings
        if settings.smtp_host is None:
            return LoggedMessages("e-mail"), settings.smtp_timeout_seconds
        mailer = SmtpMailer(
            settings.smtp_host,
            settings.smtp_port,
            sender=settings.smtp_from,
            encryption=Encryption(settings.smtp_encryption.value),
            timeout_seconds=settings.smtp_timeout_seconds,
            data_seconds=settings.smtp_data_seconds,
            connections=settings.smtp_connections,
            clock=self._clock,
            user=settings.smtp_user,
            password=settings.smtp_password,
        )
        self.closing.append(mailer)
        return mailer, mailer.longest_seconds
