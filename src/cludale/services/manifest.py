"""What a service says of itself (`Manifest`), what it is built from (`Parts`), and what comes of that (`Service`)."""

# ruff: noqa: D102 - what a part is, its type says

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from cludale.kernel.backoff import Backoff
from cludale.kernel.buyers import BuyerHash
from cludale.kernel.events import Event, Topic
from cludale.kernel.wire import Codec
from cludale.ports.bus import Deliver, Handler
from cludale.ports.calling_off import CallOffs, SaleClosing
from cludale.ports.charges import Charges
from cludale.ports.clock import Clock, IdSource
from cludale.ports.contacts import Contacts
from cludale.ports.entrance import Entrance
from cludale.ports.invoice_pages import InvoicePages
from cludale.ports.issuer import Issuer, SignInPolicy
from cludale.ports.messengers import Mailer, TextMessenger
from cludale.ports.payment_gateway import PaymentGateway
from cludale.ports.programme import Programme
from cludale.ports.records import Kind, Records, Rewritable
from cludale.ports.sales import Sales
from cludale.ports.seals import Seals, SealsOf
from cludale.ports.seats import Seats
from cludale.ports.ticket_keys import TicketKeys
from cludale.ports.ticket_pages import TicketPages
from cludale.ports.wallets import Wallets
from cludale.ports.webhooks import WebhookSender
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.replay import Replay
from cludale.runtime.sweeper import Sweep
from cludale.web.access import Access
from cludale.web.ownership import Ownership
from cludale.web.problems import Statuses
from cludale.web.routing import Route

WEBHOOK_SCHEDULE = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Waits after each attempt at a delivery, in seconds: those of the Standard Webhooks specification, over 75 hours."""

AddressOf = Callable[[str, Mapping[bytes, bytes]], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """The operator's numbers, for all services: what they mean, settings.py and the services' constructors say."""

    hold_seconds: float
    max_per_order: int
    pending_backoff: Backoff
    call_seconds: float = 2.0
    pending_seconds: float
    look_again_seconds: float = 0.25
    payment_attempt_seconds: float
    payment_attempts: int
    payment_backoff: Backoff
    call_off_rate: float = 1_000.0
    call_off_watch_seconds: float = 30.0
    compare_seconds: float
    compare_after_seconds: float
    ask_seconds: float
    message_seconds: float
    message_backoff: Backoff
    messages_at_once: int
    message_sender: str = "tickets@localhost"
    message_language: str = "en"
    receipt_patience: int
    audit_patience: int = 2
    audit_attempts: int
    audit_wait_seconds: float
    audit_waiting_limit: int = 50_000
    audit_recent: int = 32_768
    audit_segment_entries: int = 4_000_000
    """After so many entries the log goes on in another partition. An entry takes some 1.2 KB, and with what Cosmos DB
    adds and indexes less than 3 KB: 12 of the 20 GB that a partition may have there."""
    holds_per_buyer: int | None = None
    holds_per_address: int | None = None
    lapsed_holds: int | None = None
    lapsed_pause_seconds: float = 60.0
    offer_seconds: float = 1_800.0
    retention_days: float | None = None
    walks: bool = False
    """Are addresses that earlier versions kept in clear, or under a former master key, looked for?"""
    commit_limit: int | None = None
    partitions_apart: bool = False
    door_opens_seconds: float = 43_200
    reconcile_seconds: float | None = None
    reconcile_window_seconds: float = 30 * 86_400.0
    reconcile_tolerance_seconds: float = 300.0
    reconcile_look_seconds: float = 10.0
    door_reentry: bool = False
    webhook_attempt_seconds: float = 20.0
    webhook_schedule: Sequence[float] = WEBHOOK_SCHEDULE
    webhook_stop_seconds: float = 5 * 86_400.0
    webhook_keep_days: float = 30.0
    door_offline_seconds: float = 43_200
    invoice_look_seconds: float | None = 10.0
    """How often it is looked whose orders are invoiced; None: nobody's are."""
    public_url: str | None = None
    """Where people reach the platform."""


class Parts(Protocol):
    """What services are built from. Each port is made when a service first asks for it."""

    @property
    def policies(self) -> Policies: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def ids(self) -> IdSource: ...
    @property
    def admission(self) -> AdmissionControl: ...
    @property
    def seats(self) -> Seats: ...
    @property
    def sales(self) -> Sales: ...
    @property
    def charges(self) -> Charges: ...
    @property
    def sale_closing(self) -> SaleClosing: ...
    @property
    def call_offs(self) -> CallOffs | None: ...
    @property
    def contacts(self) -> Contacts: ...
    @property
    def entrance(self) -> Entrance | None: ...
    @property
    def programme(self) -> Programme: ...
    @property
    def seals(self) -> Seals: ...
    @property
    def seals_of(self) -> SealsOf: ...
    @property
    def gateway(self) -> PaymentGateway: ...
    @property
    def mailer(self) -> Mailer: ...
    @property
    def texts(self) -> TextMessenger: ...
    @property
    def webhooks(self) -> WebhookSender: ...
    @property
    def ticket_keys(self) -> TicketKeys: ...
    @property
    def ticket_pages(self) -> TicketPages: ...
    @property
    def invoice_pages(self) -> InvoicePages: ...
    @property
    def wallets(self) -> Wallets: ...

    @property
    def file(self) -> Rewritable | None:
        """The store, where it is a file of this process's; None: it is elsewhere."""
        ...

    @property
    def buyers(self) -> BuyerHash:
        """Makes of a buyer what their tickets are counted by."""
        ...

    @property
    def order_link(self) -> Callable[[str], str | None]:
        """An order's id → its page, with the token that opens it; None where nobody says where pages are."""
        ...

    @property
    def send_seconds(self) -> float:
        """How long one message may take."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """So many, for secrets."""
        ...

    def takes_work(self) -> bool:
        """Does this process take up what is due? A release that is not promoted leaves it to the one that is."""
        ...

    def records(self, service: str) -> Records:
        """The store, as `service` sees it."""
        ...


class HttpParts(Protocol):
    """What routes are made from, beside the service that they call."""

    @property
    def policies(self) -> Policies: ...
    @property
    def access(self) -> Access: ...
    @property
    def ownership(self) -> Ownership: ...
    @property
    def codec(self) -> Codec: ...
    @property
    def clock(self) -> Clock: ...

    @property
    def issuer(self) -> Issuer | None:
        """Who says who people are; None: they sign in with a key."""
        ...

    @property
    def sign_in(self) -> SignInPolicy:
        """What the operator says of sign-in."""
        ...

    @property
    def payment_methods(self) -> Sequence[str]:
        """The ways to pay that the provider knows."""
        ...

    @property
    def address(self) -> AddressOf | None:
        """Where a request comes from, by its peer and headers; None: nobody counts by that."""
        ...

    @property
    def reachable(self) -> Mapping[str, frozenset[str]]:
        """Service → the event types that it hears, for those that `deliver` reaches."""
        ...

    def records(self, service: str) -> Records:
        """The store, as `service` sees it."""
        ...

    @property
    def deliver(self) -> Deliver:
        """The bus's: delivers events once more."""
        ...


class Running(NamedTuple):
    """A service that was built: what runs it."""

    service: Any
    """What the other services of the process call."""
    handle: Handler | None = None
    """Takes a batch of the events that the service hears."""
    sweep: Sweep | None = None
    stop: Callable[[], Awaitable[None]] | None = None
    prepare: Callable[[], Awaitable[None]] | None = None
    """Is done before anything is answered, once the store is open; what it raises ends the start."""
    end_waiting: Callable[[], None] = lambda: None
    """Answers at once whoever waits with a connection open."""
    gauges: Callable[[], Mapping[str, float]] = dict
    """What the operator watches, by metric name."""


class Probe(NamedTuple):
    """A request that changes nothing, and the status that a service in order answers with."""

    method: str
    path: str
    status: int
    as_organizer: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Manifest:
    """A service as data. `services/catalogue.py` lists them all; whatever else has to know of services asks it there.

    `build` and `api` open nothing: a service begins to work when the platform starts.
    """

    name: str
    """Its folder, the first segment of its paths, its process, its Dapr app id and the source of its events."""
    about: str
    """One line, for the OpenAPI document."""
    topic: Topic | None = None
    """What it publishes."""
    handlers: Mapping[type[Event], Callable[..., Any]] = field(default_factory=dict)
    """Event type → what decides about one such event; a base class stands for all of its subclasses."""
    kinds: tuple[Kind, ...] = ()
    """The records that it keeps."""
    replay: Replay | None = None
    """How its records are rebuilt from the log."""
    needs: tuple[str, ...] = ()
    """The services that it calls."""
    build: Callable[[Parts], Running]
    api: Callable[[Any, HttpParts], object]
    """The routes of `Running.service`, as methods (`web.routing.route`); each says which credential it wants.

    Several objects with routes come as a tuple.
    """
    statuses: Statuses = field(default_factory=dict)
    """Refusal → HTTP status."""
    probes: tuple[Probe, ...] = ()
    """What a release asks a new version before it gets traffic."""


class Service(NamedTuple):
    """One service of this process, or one that is only described: then nothing of it runs."""

    manifest: Manifest
    routes: Sequence[Route]
    running: Running = Running(None)

    @property
    def name(self) -> str:
        """The manifest's."""
        return self.manifest.name

    @property
    def about(self) -> str:
        """The manifest's."""
        return self.manifest.about

    @property
    def statuses(self) -> Statuses:
        """The manifest's."""
        return self.manifest.statuses

    @property
    def prefixes(self) -> list[str]:
        """How its paths begin: `/orders`."""
        return list(dict.fromkeys(f"/{each.path.split('/')[1]}" for each in self.routes))
