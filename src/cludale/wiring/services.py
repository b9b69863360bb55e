"""Builds the services of this process from their manifests, with the adapters that the settings name."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import quote

from cludale.adapters.ciphers import AeadSeals
from cludale.adapters.dapr.bus import DaprBus
from cludale.adapters.dapr.state import StateStore
from cludale.adapters.embedded.bus import EmbeddedBus
from cludale.adapters.http_calls.calls import (
    HttpCallOffs,
    HttpCharges,
    HttpClosing,
    HttpContacts,
    HttpEntrance,
    HttpKeys,
    HttpProgramme,
    HttpSales,
    HttpSeats,
)
from cludale.adapters.http_calls.trial import Trial
from cludale.adapters.inprocess.calls import (
    InProcessCallOffs,
    InProcessCharges,
    InProcessClosing,
    InProcessContacts,
    InProcessEntrance,
    InProcessKeys,
    InProcessProgramme,
    InProcessSales,
)
from cludale.adapters.log_messages import LoggedMessages
from cludale.adapters.simulated_payments import METHODS, SimulatedProvider
from cludale.adapters.smtp import Encryption, MailServer, SmtpMailer
from cludale.adapters.sqlite import SqliteStore
from cludale.adapters.system.clock import SystemClock, SystemIds
from cludale.adapters.ticket_pages.pool import PrintedPages
from cludale.kernel import roles
from cludale.kernel.backoff import Backoff
from cludale.kernel.buyers import BuyerHash
from cludale.kernel.carts import is_cart
from cludale.kernel.wire import Codec
from cludale.ports.bus import Deliver
from cludale.ports.calling_off import CallOffs, SaleClosing
from cludale.ports.charges import Charges
from cludale.ports.contacts import Contacts
from cludale.ports.entrance import Entrance
from cludale.ports.invoice_pages import InvoicePages
from cludale.ports.issuer import Issuer, SignInPolicy
from cludale.ports.keys import Keys
from cludale.ports.messengers import Mailer, TextMessenger
from cludale.ports.payment_gateway import PaymentGateway
from cludale.ports.programme import Programme
from cludale.ports.records import Records, Rewritable
from cludale.ports.sales import Sales
from cludale.ports.seals import Seals, SealsOf
from cludale.ports.seats import Seats
from cludale.ports.ticket_keys import TicketKeys
from cludale.ports.ticket_pages import TicketPages
from cludale.ports.wallets import Wallets
from cludale.ports.webhooks import WebhookSender
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.dead_letters import DeadLetters
from cludale.runtime.split import SplitRecords
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS, SERVICES
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.store import BY_ID
from cludale.services.manifest import AddressOf, HttpParts, Manifest, Policies, Service
from cludale.web import dead_letters as dead_letters_api
from cludale.web import figures
from cludale.web.access import Access
from cludale.web.ownership import Ownership
from cludale.web.routing import Route, routes_of
from cludale.wiring.keys import key_hashes, privacy_keys, ticket_keys
from cludale.wiring.needs import through_sidecar, trial_url_of, url_of, wallets
from cludale.wiring.networks import trusted_addresses, webhook_networks
from cludale.wiring.settings import PaymentProvider, Settings
from cludale.wiring.stores import Store, commit_limit, concerts_state_store, ledger
from cludale.wiring.watching import Watching

STRIPE_METHODS = ("card", "pm_*")
"""Known here too, so that orders needs no Stripe library where it runs alone."""
WAY_BACK = "/staff/sign-in/back"
AFTER_SIGN_OUT = "/staff/sign-in"
"""Where the issuer sends people back to."""
LOOK_AGAIN_SECONDS = 0.25
LOOK_AGAIN_ALONE_SECONDS = 5.0
"""How often `GET /orders/{id}?wait=` looks by itself: where one process does everything, it is told."""
ASK_SECONDS = 10.0
"""How long notifications waits for addresses, and for concerts, of all the messages that it is about to send."""

C = TypeVar("C", bound="Closed")


class Closed(Protocol):
    """A part that has to be closed at the end."""

    async def close(self) -> None:
        """Close its connections."""
        ...


@dataclass(kw_only=True)
class ServiceBuilder:
    """The parts that services are built from (`Parts`), and the services; keeps what they have open outside."""

    settings: Settings
    only: Collection[str]
    store: Store
    bus: EmbeddedBus | DaprBus
    admission: AdmissionControl
    dead_letters: DeadLetters
    current: figures.Current
    access: Access
    clock: SystemClock
    ids: SystemIds
    watching: Watching | None
    takes_work: Callable[[], bool]
    is_on_trial: Callable[[], bool]
    """Is this a release that takes no events yet?"""
    codec: Codec = field(default_factory=lambda: Codec(CATALOGUE))
    built: dict[str, Any] = field(default_factory=dict)
    """Those of the services that are here, by name."""
    closing: list[Closed] = field(default_factory=list)
    """What is to be closed in the end."""

    def build(self) -> list[Service]:
        """Each service that is wanted, in the order of `SERVICES`."""
        return [self._built(each) for each in SERVICES if each.name in self.only]

    def _built(self, manifest: Manifest) -> Service:
        running, watching = manifest.build(self), self.watching
        self.built[manifest.name] = running.service
        if watching is not None and running.handle is not None:
            running = running._replace(handle=watching.handler(manifest.name, running.handle))
        if watching is not None and isinstance(running.service, Concerts):
            watching.command_queue(running.service.command_queue)
        return Service(manifest, _all_routes(manifest, running.service, self, self.dead_letters, self.current), running)

    @property
    def deliver(self) -> Deliver:
        """The bus's."""
        return self.bus.deliver

    def records(self, service: str) -> Records:
        """The store, as `service` sees it."""
        records: Records = self.store
        if service == "concerts" and self.concerts_state is not None:
            records = SplitRecords(self.store, self.concerts_state, BY_ID)
        return records if self.watching is None else self.watching.records(service, records)

    @cached_property
    def concerts_state(self) -> StateStore | None:
        """Where concerts keeps what is read by id alone; None: with all the rest."""
        store = concerts_state_store(self.settings)
        return None if store is None else self._closed(store)

    @cached_property
    def policies(self) -> Policies:
        """What the settings say."""
        settings = self.settings
        return Policies(
            hold_seconds=settings.hold_seconds,
            max_per_order=settings.max_per_order,
            pending_backoff=Backoff(settings.pending_backoff_seconds, settings.pending_backoff_max_seconds),
            pending_seconds=settings.pending_seconds,
            call_seconds=settings.reserve_timeout_seconds,
            look_again_seconds=LOOK_AGAIN_ALONE_SECONDS if set(self.only) == set(NAMES) else LOOK_AGAIN_SECONDS,
            payment_attempt_seconds=settings.payment_attempt_seconds,
            payment_attempts=settings.payment_attempts,
            payment_backoff=Backoff(settings.payment_backoff_seconds, settings.payment_backoff_max_seconds),
            call_off_rate=settings.call_off_rate,
            compare_seconds=settings.compare_seconds,
            compare_after_seconds=settings.compare_after_seconds,
            ask_seconds=ASK_SECONDS,
            message_seconds=settings.message_seconds,
            message_backoff=Backoff(settings.message_backoff_seconds, settings.message_backoff_max_seconds),
            messages_at_once=2 * settings.smtp_connections,
            message_sender=settings.smtp_from,
            message_language=settings.language.value,
            receipt_patience=max(1, settings.delivery_attempts // 2),
            # Where there is no room to keep an event, it waits for half of its deliveries: never lost.
            audit_attempts=max(1, settings.delivery_attempts // 2),
            audit_wait_seconds=settings.audit_wait_seconds,
            holds_per_buyer=settings.holds_per_buyer,
            holds_per_address=settings.holds_per_address,
            lapsed_holds=settings.lapsed_holds,
            lapsed_pause_seconds=settings.lapsed_pause_seconds,
            offer_seconds=settings.offer_seconds,
            retention_days=settings.retention_days,
            walks=True,
            commit_limit=commit_limit(settings),
            partitions_apart=settings.cosmos_endpoint is not None,
            reconcile_seconds=settings.reconcile_seconds or None,
            reconcile_window_seconds=settings.reconcile_days * 86_400,
            reconcile_tolerance_seconds=settings.reconcile_tolerance_seconds,
            door_opens_seconds=settings.door_opens_seconds,
            door_reentry=settings.door_reentry,
            webhook_attempt_seconds=settings.webhook_attempt_seconds,
            webhook_stop_seconds=settings.webhook_stop_seconds,
            webhook_keep_days=settings.webhook_keep_days,
            door_offline_seconds=settings.door_offline_seconds,
            public_url=settings.public_url,
        )

    @cached_property
    def seats(self) -> Seats:
        """Concerts, as orders calls it."""
        is_here = "concerts" in self.only
        seats: Seats = self.built["concerts"].holding if is_here else self._called("concerts", HttpSeats)
        if self.watching is None:
            return seats
        return self.watching.seats(self.watching.holding(seats) if is_here else seats)

    @cached_property
    def sales(self) -> Sales:
        """Concerts, as payments calls it."""
        if "concerts" in self.only:
            return InProcessSales(self.built["concerts"].late_money.sale_outlook)
        return self._called("concerts", HttpSales)

    @cached_property
    def charges(self) -> Charges:
        """Payments, as orders calls it; it is built later."""
        if "payments" in self.only:
            return InProcessCharges(lambda asked: self.built["payments"].compare(asked))  # noqa: PLW0108 - built later
        return self._called("payments", HttpCharges) if self.settings.dapr else InProcessCharges()

    @cached_property
    def sale_closing(self) -> SaleClosing:
        """Concerts, as orders calls it when a concert is called off."""
        if "concerts" in self.only:
            return InProcessClosing(self.built["concerts"].changes.close)
        return self._called("concerts", HttpClosing)

    @cached_property
    def call_offs(self) -> CallOffs | None:
        """Orders, as concerts asks it how far a cancellation has come; None where nobody says where orders is."""
        if "orders" in self.only:
            return InProcessCallOffs(lambda *asked: self.built["orders"].progress(*asked))  # noqa: PLW0108 - built later
        if not self.settings.dapr and self.settings.orders_url is None:
            return None
        return self._called("orders", HttpCallOffs)

    @cached_property
    def programme(self) -> Programme:
        """Concerts, as notifications calls it."""
        if "concerts" in self.only:
            return InProcessProgramme(self.built["concerts"].directory.details)
        return self._called("concerts", HttpProgramme)

    @cached_property
    def ownership(self) -> Ownership:
        """Whose concerts are."""
        return Ownership(self.programme, self.access.has_one_organizer)

    @cached_property
    def keys(self) -> Keys:
        """Concerts, as whoever checks keys asks it."""
        if "concerts" in self.only:
            return InProcessKeys(self.built["concerts"].keys)
        return self._called("concerts", HttpKeys)

    @cached_property
    def contacts(self) -> Contacts:
        """The way in which notifications asks orders for contacts."""
        if "orders" in self.only:
            return InProcessContacts(self.built["orders"].privacy.contacts)
        return self._called("orders", HttpContacts)

    @cached_property
    def entrance(self) -> Entrance | None:
        """Tickets, as concerts and orders ask whom the door let in; None where nobody says where tickets is."""
        if "tickets" in self.only:
            return InProcessEntrance(lambda order: self.built["tickets"].admitted(order))  # noqa: PLW0108 - built later
        return self._called("tickets", HttpEntrance) if self.settings.dapr else None

    def _called(self, service: str, client: Callable[..., C]) -> C:
        """The client of a service that is elsewhere."""
        at = trial_url_of(self.settings, service)
        return self._closed(
            client(
                url_of(self.settings, service),
                self.access.services.token,
                timeout_seconds=self.settings.reserve_timeout_seconds,
                headers=through_sidecar(self.settings, service),
                trial=None if at is None else Trial(at, self.is_on_trial),
            )
        )

    def _closed(self, part: C) -> C:
        self.closing.append(part)
        return part

    @cached_property
    def seals(self) -> Seals:
        """What encrypts personal data."""
        return AeadSeals(*privacy_keys(self.settings))

    @property
    def seals_of(self) -> SealsOf:
        """What encrypts under a secret that follows from another one."""
        return AeadSeals

    @cached_property
    def gateway(self) -> PaymentGateway:
        """The payment provider."""
        provider = self._stripe() if self.settings.payment_provider is PaymentProvider.STRIPE else self._simulated()
        return provider if self.watching is None else self.watching.gateway(provider)

    def _simulated(self) -> PaymentGateway:
        settings = self.settings
        return self._closed(
            SimulatedProvider(ledger(settings), clock=self.clock, slow_seconds=settings.payment_slow_seconds)
        )

    def _stripe(self) -> PaymentGateway:
        from cludale.adapters.stripe_payments import StripeProvider  # noqa: PLC0415 - it takes half a second to load

        settings = self.settings
        return self._closed(
            StripeProvider(
                settings.stripe_key or "",
                clock=self.clock,
                webhook_secret=settings.stripe_webhook_secret,
                publishable_key=settings.stripe_publishable_key,
                timeout_seconds=settings.payment_attempt_seconds,
                url=settings.stripe_url,
            )
        )

    @cached_property
    def ticket_keys(self) -> TicketKeys:
        """What codes of tickets are signed with."""
        return ticket_keys(self.settings)

    @cached_property
    def wallets(self) -> Wallets:
        """What makes passes for the wallets of phones."""
        return wallets(self.settings, self.clock)

    @cached_property
    def _pages(self) -> PrintedPages:
        return self._closed(PrintedPages())

    @property
    def ticket_pages(self) -> TicketPages:
        """What makes pages of tickets."""
        return self._pages

    @property
    def invoice_pages(self) -> InvoicePages:
        """What makes pages of invoices: the same process."""
        return self._pages

    @cached_property
    def issuer(self) -> Issuer | None:
        """The issuer that the settings name."""
        settings = self.settings
        if settings.oidc_issuer is None or "concerts" not in self.only:
            return None
        from cludale.adapters.oidc import OidcIssuer, Strength  # noqa: PLC0415 - cryptography takes 0.1 s to load

        return self._closed(
            OidcIssuer(
                settings.oidc_issuer,
                client_id=settings.oidc_client_id or "",
                client_secret=settings.oidc_client_secret,
                back_to=f"{(settings.public_url or '').rstrip('/')}{WAY_BACK}",
                after_sign_out=f"{(settings.public_url or '').rstrip('/')}{AFTER_SIGN_OUT}",
                scopes=settings.oidc_scopes,
                roles_claim=settings.oidc_roles_claim,
                strength=Strength(
                    frozenset(settings.oidc_acr.split()),
                    frozenset(settings.oidc_amr.split()),
                    settings.oidc_max_age_seconds,
                ),
                now=self.clock.now,
            )
        )

    @property
    def sign_in(self) -> SignInPolicy:
        """What the settings say."""
        settings = self.settings
        return SignInPolicy(
            roles.mapping(settings.oidc_roles),
            seconds=settings.session_seconds,
            idle_seconds=settings.session_idle_seconds,
        )

    @property
    def payment_methods(self) -> Sequence[str]:
        """The provider's."""
        return STRIPE_METHODS if self.settings.payment_provider is PaymentProvider.STRIPE else METHODS

    @cached_property
    def _smtp(self) -> SmtpMailer | None:
        settings = self.settings
        if settings.smtp_host is None:
            return None
        return self._closed(
            SmtpMailer(
                MailServer(
                    settings.smtp_host,
                    settings.smtp_port,
                    Encryption(settings.smtp_encryption.value),
                    settings.smtp_timeout_seconds,
                    settings.smtp_data_seconds,
                    settings.smtp_user,
                    settings.smtp_password,
                ),
                sender=settings.smtp_from,
                clock=self.clock,
                connections=settings.smtp_connections,
                bounces=settings.smtp_bounces,
            )
        )

    @property
    def file(self) -> Rewritable | None:
        """SQLite's."""
        return self.store if isinstance(self.store, SqliteStore) else None

    @cached_property
    def buyers(self) -> BuyerHash:
        """Made with a secret that all replicas of orders have."""
        return BuyerHash(*key_hashes(self.settings).buyers)

    @cached_property
    def address(self) -> AddressOf | None:
        """Only where unpaid orders are counted by address."""
        settings = self.settings
        counted = settings.holds_per_address is not None
        return trusted_addresses(settings).of if counted else None

    def order_link(self, order_id: str) -> str | None:
        """The page of an order or a cart, with the token that opens it; None where no setting says where pages are."""
        base = self.settings.public_url
        if base is None:
            return None
        pages = "carts" if is_cart(order_id) else "orders"
        return f"{base.rstrip('/')}/shop/{pages}/{quote(order_id, safe='')}?key={self.access.token_for(order_id)}"

    @property
    def send_seconds(self) -> float:
        """How long one message may take."""
        return self.settings.smtp_timeout_seconds if self._smtp is None else self._smtp.longest_seconds

    @cached_property
    def mailer(self) -> Mailer:
        """The way to a buyer's e-mail address."""
        mailer: Mailer = LoggedMessages("e-mail") if self._smtp is None else self._smtp
        return mailer if self.watching is None else self.watching.messenger(mailer, "email")

    @cached_property
    def texts(self) -> TextMessenger:
        """The way to a buyer's telephone."""
        texts: Mailer = LoggedMessages("text message")
        return texts if self.watching is None else self.watching.messenger(texts, "text")

    @cached_property
    def webhooks(self) -> WebhookSender:
        """The way to organizers' servers."""
        from cludale.adapters.webhook_posts.sender import HttpWebhooks  # noqa: PLC0415 - only notifications needs its HTTP client

        settings = self.settings
        return self._closed(
            HttpWebhooks(
                networks=webhook_networks(settings),
                allow_http=settings.webhook_http,
                timeout_seconds=settings.webhook_attempt_seconds,
            )
        )

    def random_bytes(self, count: int) -> bytes:
        """The system's."""
        return os.urandom(count)

    @property
    def reachable(self) -> Mapping[str, frozenset[str]]:
        """Without a sidecar only those that are here, beside audit itself; with one all of them."""
        here = {name: heard for name, heard in HEARS.items() if name in self.only and name != "audit"}
        return HEARS if self.settings.dapr else here


def _all_routes(
    manifest: Manifest, service: object, parts: HttpParts, dead_letters: DeadLetters, current: figures.Current
) -> Sequence[Route]:
    """The routes of a service, and those of what it could not take and of its figures."""
    more = [
        *dead_letters_api.routes(manifest.name, dead_letters, parts.codec, parts.deliver, parts.access),
        *figures.routes(manifest.name, current, parts.access),
    ]
    made = manifest.api(service, parts)
    apis = made if isinstance(made, tuple) else (made,)
    return [*(each for api in apis for each in routes_of(api, tag=manifest.name, access=parts.access)), *more]


class _Undone:
    """Stands for every part of a service that is only described: whatever is asked of it is itself."""

    def __getattr__(self, _: str) -> "_Undone":
        return self

    def __call__(self, *_: object, **__: object) -> "_Undone":
        return self


def described() -> list[Service]:
    """All services with their routes, to look at: nothing is opened or started, and no route can be called."""
    undone = _Undone()
    parts = cast("HttpParts", undone)
    letters, current = cast("DeadLetters", undone), cast("figures.Current", undone)
    return [Service(each, _all_routes(each, undone, parts, letters, current)) for each in SERVICES]
