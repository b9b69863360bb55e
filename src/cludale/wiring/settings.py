"""Settings: the environment, read once into a frozen struct. The only place that names an environment variable.

A field `hold_seconds` is the variable `CLUDALE_HOLD_SECONDS`, unless the world has a name for it already. Compose and
the command line read the struct; everything else is given plain values.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta

from cludale.kernel.languages import LanguageCode
from cludale.wiring.variables import PREFIX, converted, documentation_of, shown, variable_of

OTLP_PROTOCOL = "http/protobuf"

Seconds = Annotated[float, Meta(gt=0, le=86_400 * 366)]
Days = Annotated[float, Meta(ge=0, le=36_500)]
Attempts = Annotated[int, Meta(ge=1, le=1_000)]
Requests = Annotated[int, Meta(ge=1, le=10_000_000)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Url = Annotated[str, Meta(pattern="^https?://[^/]+")]
DatabaseUrl = Annotated[str, Meta(pattern="^postgres(ql)?://[^/?]*/?")]
Name = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Token = Annotated[str, Meta(pattern="^[!-~]+$")]
"""What fits into an Authorization header."""


class LogLevel(StrEnum):
    """How much the log says."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """What a line of the log looks like."""

    TEXT = "text"
    JSON = "json"


class PaymentProvider(StrEnum):
    """Who takes the money."""

    SIMULATED = "simulated"
    STRIPE = "stripe"
    NONE = "none"


class StateType(StrEnum):
    """What is behind the component of a Dapr state store."""

    ANY = "any"
    COSMOS = "azure.cosmosdb"


class SmtpEncryption(StrEnum):
    """How the connection to the mail server is kept private."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class Explained(NamedTuple):
    """One setting as `cludale settings` shows it."""

    variable: str
    value: str
    default: str
    meaning: str


def _doc(text: str, *, secret: bool = False, variable: str | None = None) -> Meta:
    """`variable`: the name that everybody uses for this, in place of one of ours."""
    return Meta(description=text, extra={"secret": secret, "variable": variable})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings with their defaults: the embedded shape on a laptop."""

    data_dir: Annotated[Path, _doc("where the store and the keys are kept")] = Path("data")
    host: Annotated[str, _doc("the address to listen on")] = "127.0.0.1"
    port: Annotated[Port, _doc("the port to listen on; 0 takes a free one")] = 8080
    tls_certificate: Annotated[
        Path | None,
        _doc("the certificate with its chain and its key, one PEM file: with it HTTPS is spoken, by HAProxy"),
    ] = None
    inside_certificate: Annotated[
        Path | None,
        _doc(
            "the certificate (PEM, its key beside it as .key) that a service or the pages show to the gateway and a "
            "sidecar, who then come by TLS alone"
        ),
    ] = None
    hsts_subdomains: Annotated[
        bool,
        _doc("with HTTPS, browsers are told to stay with it for all hosts below this one, too: others' may be there"),
    ] = False
    redirect_port: Annotated[
        Port | None, _doc("a port where plain HTTP is led to HTTPS; without it, 80 where the port is 443")
    ] = None
    organizer_key: Annotated[
        Token | None, _doc("the organizer's key; without it one is made in <data folder>/organizer.key", secret=True)
    ] = None
    database_url: Annotated[
        DatabaseUrl | None,
        _doc(
            "the PostgreSQL database (postgresql://user:password@host:5432/name); without it a file in the data folder",
            secret=True,
        ),
    ] = None
    cosmos_endpoint: Annotated[
        Url | None, _doc("the Cosmos DB account that keeps everything (https://name.documents.azure.com)")
    ] = None
    cosmos_key: Annotated[
        Token | None, _doc("that account's key; without it this machine's managed identity is used", secret=True)
    ] = None
    cosmos_database: Annotated[str, Meta(pattern="^[^/\\\\?#]{1,255}$"), _doc("the database in that account")] = (
        "cludale"
    )
    demo: Annotated[bool, _doc("put three demo concerts into an empty store")] = False
    log_level: Annotated[LogLevel, _doc("how much the log says: debug, info, warning or error")] = LogLevel.INFO

    log_format: Annotated[
        LogFormat, _doc("text for people, or json: an object a line, with the trace it belongs to")
    ] = LogFormat.TEXT
    otlp_endpoint: Annotated[
        Url | None,
        _doc("where traces, metrics and logs go by OTLP over HTTP", variable="OTEL_EXPORTER_OTLP_ENDPOINT"),
    ] = None
    otlp_protocol: Annotated[
        str, _doc("said by others; only http/protobuf is spoken", variable="OTEL_EXPORTER_OTLP_PROTOCOL")
    ] = OTLP_PROTOCOL
    application_insights: Annotated[
        str | None,
        _doc(
            "the Application Insights resource that they go to",
            secret=True,
            variable="APPLICATIONINSIGHTS_CONNECTION_STRING",
        ),
    ] = None

    hold_seconds: Annotated[Seconds, _doc("how long seats are held for an order that is not paid yet")] = 600
    max_per_order: Annotated[
        int, Meta(ge=1, le=1_000), _doc("the most seats in one order, where the concert names no limit of its own")
    ] = 8
    sweep_seconds: Annotated[Seconds, _doc("how often ended holds and unfinished work are looked for")] = 1

    admission_inside: Annotated[Attempts, _doc("how many orders are worked on at once")] = 256
    admission_waiting: Annotated[
        int, Meta(ge=0, le=1_000_000), _doc("how many more may wait for that; the next is turned away with 503")
    ] = 256
    admission_seconds: Annotated[
        Seconds,
        _doc("how long one may wait; who would wait for over half of that is turned away at once"),
    ] = 5
    admission_backlog_events: Annotated[
        int, Meta(ge=1, le=10_000_000), _doc("events still to be delivered at which nobody new is let in")
    ] = 4_000

    compare_after_seconds: Annotated[
        Seconds,
        _doc(
            "how long nothing is heard of a Reserved order before it is compared with its payment, and how long after "
            "its end a Cancelled one is, if it may have money or seats; what seems to be lost is then told again"
        ),
    ] = 60
    call_off_rate: Annotated[
        float,
        Meta(gt=0, le=1_000_000),
        _doc("the most orders a second that are cancelled where a concert is called off"),
    ] = 1_000
    compare_seconds: Annotated[Seconds, _doc("how often orders are looked for of which nothing is heard")] = 30

    reserve_timeout_seconds: Annotated[Seconds, _doc("how long an order waits for concerts before it is Pending")] = 2
    pending_seconds: Annotated[Seconds, _doc("how long a Pending order goes on asking for its seats")] = 600
    pending_backoff_seconds: Annotated[Seconds, _doc("the first wait before a Pending order asks again")] = 0.5
    pending_backoff_max_seconds: Annotated[Seconds, _doc("the longest such wait")] = 30

    payment_attempts: Annotated[Attempts, _doc("how often a charge or refund is tried")] = 5
    payment_attempt_seconds: Annotated[Seconds, _doc("how long the payment provider may take for one answer")] = 5
    payment_backoff_seconds: Annotated[Seconds, _doc("the wait after the first failed attempt; it doubles")] = 0.2
    payment_backoff_max_seconds: Annotated[Seconds, _doc("the longest such wait")] = 10
    payment_provider: Annotated[
        PaymentProvider,
        _doc(
            "who takes the money: `simulated` takes none and says that it did; `stripe`; with `none` payments does not "
            "start"
        ),
    ] = PaymentProvider.SIMULATED
    stripe_key: Annotated[
        Token | None, _doc("Stripe's secret or restricted key (sk_live_…, rk_live_…, sk_test_…)", secret=True)
    ] = None
    stripe_webhook_secret: Annotated[
        Token | None,
        _doc(
            "what Stripe signs its messages to /payments/webhook with (whsec_…); without it none is heard", secret=True
        ),
    ] = None
    stripe_publishable_key: Annotated[
        Token | None, _doc("Stripe's publishable key (pk_…), which buyers' clients are told")
    ] = None
    stripe_url: Annotated[Url | None, _doc("where Stripe's API is, if not at Stripe: for tests against a double")] = (
        None
    )
    payment_slow_seconds: Annotated[Seconds, _doc("how long the simulated provider takes for `card-slow`")] = 2

    reconcile_seconds: Annotated[
        float,
        Meta(ge=0, le=86_400 * 366),
        _doc("how often the provider's books are compared with the payments; 0: only when an operator asks"),
    ] = 86_400
    reconcile_days: Annotated[
        float,
        Meta(gt=0, le=3_660),
        _doc("how far back that looks: charges that began in so many days"),
    ] = 30
    reconcile_tolerance_seconds: Annotated[
        Seconds, _doc("what happened in so many seconds before is in flight, and not compared yet")
    ] = 300

    delivery_attempts: Annotated[Attempts, _doc("how often an event is delivered before it is a dead letter")] = 20
    delivery_backoff_seconds: Annotated[Seconds, _doc("the wait after the first failed delivery; it doubles")] = 0.05
    delivery_backoff_max_seconds: Annotated[Seconds, _doc("the longest such wait")] = 10
    audit_wait_seconds: Annotated[
        Seconds, _doc("how long audit keeps an event that came before its cause; then it is recorded late, and marked")
    ] = 300

    smtp_host: Annotated[str | None, _doc("the mail server; without it messages only go to the log")] = None
    smtp_port: Annotated[Port, _doc("the mail server's port")] = 587
    smtp_user: Annotated[str | None, _doc("the user at the mail server, if it wants one")] = None
    smtp_password: Annotated[str | None, _doc("that user's password", secret=True)] = None
    smtp_encryption: Annotated[
        SmtpEncryption,
        _doc("to the mail server: starttls (insisted on), tls (from the first byte, mostly port 465) or none"),
    ] = SmtpEncryption.STARTTLS
    smtp_from: Annotated[str, _doc("the sender of e-mails")] = "tickets@localhost"
    smtp_bounces: Annotated[
        str | None,
        _doc("the address that mail comes back to, with the message's id behind a `+`; without it, the sender's own"),
    ] = None
    language: Annotated[
        LanguageCode, _doc("the language of messages to buyers of whom neither theirs nor their organizer's is known")
    ] = LanguageCode.EN
    smtp_timeout_seconds: Annotated[Seconds, _doc("how long the mail server may take for one answer")] = 10
    smtp_data_seconds: Annotated[
        Seconds,
        _doc("how long it may take to say that it took a message; too short, and a buyer may get it twice"),
    ] = 60
    smtp_connections: Annotated[
        int, Meta(ge=1, le=64), _doc("connections to the mail server at once, each kept for the next message")
    ] = 4

    message_seconds: Annotated[Seconds, _doc("for how long a message to a buyer is tried before it is Failed")] = (
        3 * 86_400
    )
    message_backoff_seconds: Annotated[Seconds, _doc("the wait after the first failed try; it doubles")] = 5
    message_backoff_max_seconds: Annotated[Seconds, _doc("the longest such wait")] = 900

    webhook_networks: Annotated[
        str,
        _doc("private networks that webhooks may be posted to, beside public addresses: 10.0.0.0/8,127.0.0.1/32"),
    ] = ""
    webhook_http: Annotated[bool, _doc("webhooks may go to http URLs, unencrypted; without it to https alone")] = False
    webhook_attempt_seconds: Annotated[
        float, Meta(gt=0, le=300), _doc("how long a server may take for one webhook: 15 to 30 is usual")
    ] = 20
    webhook_stop_seconds: Annotated[
        Seconds, _doc("after how long without one success a webhook is switched off, and its organizer told")
    ] = 5 * 86_400
    webhook_keep_days: Annotated[
        Days, _doc("how many days a delivery can be seen, and sent again, after it came to an end")
    ] = 30

    address_requests: Annotated[
        Requests | None,
        _doc(
            "requests that one address may make in CLUDALE_LIMIT_SECONDS, to all processes over one PostgreSQL "
            "together; without it any number"
        ),
    ] = None
    key_requests: Annotated[
        Requests | None, _doc("requests that may be made with one key in that time; without it those of an address")
    ] = None
    limit_seconds: Annotated[Seconds, _doc("the window in which requests are counted")] = 10
    holds_per_buyer: Annotated[
        Attempts | None,
        _doc("unpaid orders that one buyer may have at once, at all concerts together; without it any number"),
    ] = None
    holds_per_address: Annotated[
        Attempts | None, _doc("unpaid orders that may come from one address at once; without it any number")
    ] = None
    lapsed_holds: Annotated[
        Attempts | None,
        _doc("after so many orders in a row that were not paid, a buyer or an address has to pause; without it never"),
    ] = None
    lapsed_pause_seconds: Annotated[Seconds, _doc("how long such a pause is, from the end of the last of them")] = 60
    offer_seconds: Annotated[Seconds, _doc("how long seats are held for who waited, by default")] = 1_800

    trusted_proxies: Annotated[
        str, _doc("networks of proxies whose X-Forwarded-For is believed: 10.0.0.0/8,192.0.2.1/32")
    ] = ""
    address_prefix: Annotated[
        int,
        Meta(ge=32, le=128),
        _doc("so many bits of an IPv6 address are one address, for all that is counted by address"),
    ] = 64

    inside_networks: Annotated[
        str,
        _doc("networks from which /metrics, /docs and /openapi.json are shown: 10.0.0.0/8; without it, to all"),
    ] = ""

    max_body_bytes: Annotated[int, Meta(ge=1_024, le=2**24), _doc("the largest request body")] = 65_536
    max_connections: Annotated[int, Meta(ge=1, le=1_000_000), _doc("connections at once; more are turned away")] = 4_096
    max_streams: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        _doc("who sees a concert's seats change by themselves at once, beside those connections; others ask for them"),
    ] = 10_000
    request_seconds: Annotated[Seconds, _doc("how long a client may take to send one request")] = 20
    idle_seconds: Annotated[Seconds, _doc("how long an idle connection is kept")] = 65
    shutdown_seconds: Annotated[Seconds, _doc("how long a stop waits for requests in flight")] = 20

    cache: Annotated[
        Path | None, _doc("where make puts the programs that it builds; else .cache beside the Makefile")
    ] = None

    dapr: Annotated[bool, _doc("events and calls between services go through a Dapr sidecar")] = False
    dapr_http_port: Annotated[Port, _doc("the sidecar's HTTP port", variable="DAPR_HTTP_PORT")] = 3500
    sidecar_certificate: Annotated[
        Path | None,
        _doc("the certificate (PEM) that the sidecar is known by, which is then asked over TLS; with tools/daprd"),
    ] = None
    dapr_api_token: Annotated[
        Token | None, _doc("what the sidecar wants to be shown", secret=True, variable="DAPR_API_TOKEN")
    ] = None
    app_api_token: Annotated[
        Token | None, _doc("what the sidecar shows us; nothing else may deliver", secret=True, variable="APP_API_TOKEN")
    ] = None
    app_id: Annotated[Name | None, _doc("the sidecar's app id; without it, the service's name", variable="APP_ID")] = (
        None
    )
    pubsub: Annotated[Name, _doc("the Dapr component that carries events")] = "events"
    secrets: Annotated[
        Name | None, _doc("the Dapr secret store that has what is not set here: organizer-key, database-url, …")
    ] = None
    audit_state: Annotated[
        Name | None, _doc("the Dapr state store that keeps the audit log: for audit alone, behind a sidecar")
    ] = None
    concerts_state: Annotated[
        Name | None,
        _doc(
            "the Dapr state store that keeps what concerts reads by id alone: answers to Idempotency-Keys, chosen "
            "sections, last uses of keys; for concerts alone, behind a sidecar"
        ),
    ] = None
    state_type: Annotated[
        StateType,
        _doc("what that state store is: azure.cosmosdb, or any for others with transactions and ETags"),
    ] = StateType.ANY
    consume: Annotated[bool, _doc("take events and what is due; a release that is not promoted yet does not")] = True
    consume_most: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        _doc(
            "the most events that this process takes, and then none, nor what is due: a release's canary; 0: any number"
        ),
    ] = 0
    trial_url: Annotated[
        Url | None,
        _doc(
            "where other services are called while no events are taken: the gateway, or those at the label green "
            "({service} is a service's name); without it, by the sidecar"
        ),
    ] = None
    revision: Annotated[
        str,
        Meta(pattern="^[A-Za-z0-9._-]{0,128}$"),
        _doc("the version of the service that this process is of, for the metrics", variable="CONTAINER_APP_REVISION"),
    ] = ""
    sidecar_seconds: Annotated[Seconds, _doc("how long to wait for the sidecar before saying that it is away")] = 20
    token_key: Annotated[
        Token | None,
        _doc(
            "what access tokens of orders follow from; without it one is made in <data folder>/token.key", secret=True
        ),
    ] = None

    token_key_too: Annotated[
        Token | None,
        _doc("tokens made with this one open their orders, too: the one before, while it is changed", secret=True),
    ] = None
    service_key: Annotated[
        Token | None,
        _doc(
            "this service's own key, with which it signs what it calls others with, and by which it knows them "
            "(`cludale secrets services`), or one that all share; without it, the organizer's",
            secret=True,
        ),
    ] = None
    service_key_too: Annotated[
        Token | None,
        _doc("what they may be called with, too: the next one, or the one before, while it is changed", secret=True),
    ] = None
    key_hash: Annotated[
        Token | None,
        _doc(
            "what the kept hashes of keys are made with; without it, it follows from the organizer's key", secret=True
        ),
    ] = None
    key_hash_too: Annotated[
        Token | None,
        _doc(
            "hashes of keys made with this one count, too: the next, or the one before, while it is changed",
            secret=True,
        ),
    ] = None

    ticket_keys: Annotated[
        Token | None,
        _doc(
            "the keys that codes of tickets are signed with, as `cludale tickets keys rotate` prints them; without it "
            "one is made in <data folder>/tickets.key",
            secret=True,
        ),
    ] = None
    door_opens_seconds: Annotated[Seconds, _doc("how long before a concert begins its tickets let people in")] = 43_200
    door_reentry: Annotated[bool, _doc("whoever was let out at the door may come back with the same ticket")] = False
    door_offline_seconds: Annotated[
        Seconds, _doc("how long a door may go on without network by what it loaded, at most; three quarters at least")
    ] = 43_200
    apple_pass_pem: Annotated[
        Path | None,
        _doc("a PEM file with the key, the certificate for passes and the one above it; with it tickets have .pkpass"),
    ] = None
    google_wallet_key: Annotated[
        Path | None, _doc("the JSON file of a service account's key; with it and the issuer tickets have a Google link")
    ] = None
    google_wallet_issuer: Annotated[str | None, _doc("the issuer's number in Google Wallet")] = None
    public_url: Annotated[
        Url | None,
        _doc(
            "where people reach the pages (https://tickets.example.com); needed with an issuer, and for links in mail"
        ),
    ] = None
    nats_monitor_url: Annotated[
        Url | None,
        _doc("NATS's monitoring (http://nats:8222): with it the console counts the events that wait at the broker"),
    ] = None
    rabbitmq_monitor_url: Annotated[
        Url | None,
        _doc(
            "RabbitMQ's management API with a login (http://user:password@rabbitmq:15672): the same for RabbitMQ",
            secret=True,
        ),
    ] = None
    oidc_issuer: Annotated[
        Url | None,
        _doc("the OpenID Connect issuer by which people sign in; without it they sign in with a key"),
    ] = None
    oidc_client_id: Annotated[str | None, _doc("what the issuer knows this platform as")] = None
    oidc_client_secret: Annotated[
        str | None, _doc("what it shows the issuer; without it, it is a public client", secret=True)
    ] = None
    oidc_scopes: Annotated[str, _doc("what the issuer is asked for; `openid` is always")] = "openid profile"
    oidc_roles_claim: Annotated[
        str, Meta(min_length=1), _doc("the claim with somebody's roles; realm_access.roles is one inside another")
    ] = "roles"
    oidc_roles: Annotated[
        str,
        _doc(
            "what roles open: box-office=sell,read; acme=catalogue,read@acme; door-1=door@acme/concert-1. Beside "
            "these, a role like cludale:read@acme says itself what it opens"
        ),
    ] = ""
    oidc_acr: Annotated[
        str,
        _doc("how sure the issuer has to be of somebody, one of these in its `acr`: urn:example:gold; it is asked for"),
    ] = ""
    oidc_amr: Annotated[
        str, _doc("how people have to sign in at the issuer, one of these among its `amr`: mfa otp hwk; empty: anyhow")
    ] = ""
    oidc_max_age_seconds: Annotated[
        Seconds | None,
        _doc(
            "for how long the issuer may let people in here without asking them again who they are; no end without it"
        ),
    ] = None
    session_seconds: Annotated[Seconds, _doc("how long somebody stays signed in at the longest")] = 43_200
    session_idle_seconds: Annotated[Seconds, _doc("how long somebody stays signed in who does nothing")] = 1_800
    privacy_key: Annotated[
        Token | None,
        _doc(
            "the master key under which buyers' addresses are kept; without it one is made in "
            "<data folder>/privacy.key. Lost, the addresses are",
            secret=True,
        ),
    ] = None
    privacy_key_too: Annotated[
        Token | None,
        _doc("addresses under this one are read, too: the one before, while it is changed", secret=True),
    ] = None
    retention_days: Annotated[
        Days | None,
        _doc("how many days after the concert buyers' addresses are erased; without it, only when somebody asks"),
    ] = None

    concerts_url: Annotated[Url | None, _doc("where concerts is, for the others started alone")] = None
    orders_url: Annotated[Url | None, _doc("where orders is, for notifications started alone")] = None

    @property
    def redirected_port(self) -> int | None:
        """Where plain HTTP is led to HTTPS; None: nowhere."""
        return 80 if self.redirect_port is None and self.port == 443 else self.redirect_port

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings that `environ` makes; an empty variable counts as unset. Raises UnusableSetting."""
        values = {}
        for field, kind in _kinds().items():
            variable = variable_of(field, kind)
            text = environ.get(variable, "").strip()
            if text:
                values[field] = converted(variable, text, kind)
        return cls(**values)

    @staticmethod
    def unknown(environ: Mapping[str, str]) -> dict[str, str | None]:
        """Variables with our prefix that mean nothing, each with the one that was probably meant."""
        known = [variable_of(field, kind) for field, kind in _kinds().items()]
        strangers = (name for name in environ if name.startswith(PREFIX) and name not in known)
        return {name: next(iter(get_close_matches(name, known, n=1)), None) for name in sorted(strangers)}

    def absent_secrets(self) -> list[str]:
        """The fields that hold a secret when they are set, and aren't; without those that a sidecar needs first."""
        return [
            field
            for field, kind in _kinds().items()
            if documentation_of(kind)[1] and getattr(self, field) is None and not field.endswith("_api_token")
        ]

    def with_values(self, values: Mapping[str, str]) -> "Settings":
        """These settings with `values` by field, as if they had been in the environment. Raises UnusableSetting."""
        kinds = _kinds()
        given = {
            field: converted(variable_of(field, kinds[field]), text, kinds[field]) for field, text in values.items()
        }
        return msgspec.structs.replace(self, **given)

    def explained(self) -> Iterator[Explained]:
        """Every setting with its value, default and meaning; secrets are masked."""
        defaults = Settings()
        for field, kind in _kinds().items():
            meaning, secret, _ = documentation_of(kind)
            value, default = getattr(self, field), getattr(defaults, field)
            text = "****" if secret and value is not None else shown(value)
            yield Explained(variable_of(field, kind), text, shown(default), meaning)


def _kinds() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)
