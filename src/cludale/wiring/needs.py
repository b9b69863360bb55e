"""Preflight: checks, before a process starts, that it has every setting that its services need."""

import ssl
from collections.abc import Collection
from importlib.util import find_spec
from urllib.parse import urlsplit

from cludale.adapters.broker_monitors.nats import NatsMonitor
from cludale.adapters.broker_monitors.rabbitmq import RabbitMqMonitor
from cludale.adapters.dapr.sidecar import HOST as SIDECAR_HOST
from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.dapr.subscriptions import dead_letter_topic, topics_heard
from cludale.adapters.smtp import sender_address
from cludale.kernel import roles
from cludale.ports.clock import Clock
from cludale.ports.tracing import UNTRACED
from cludale.ports.wallets import NoWallets, Wallets
from cludale.runtime.broker_backlog import BrokerBacklog
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS, SERVICES
from cludale.web.trust import naming, trust_named_in
from cludale.wiring.networks import inside, webhook_networks
from cludale.wiring.settings import PaymentProvider, Settings
from cludale.wiring.variables import UnusableSetting

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class MissingSetting(Exception):
    """Something that these services need is not there; the message says what to set or install."""


def check(settings: Settings, only: Collection[str]) -> None:
    """Is all said that these services need? Before anything is opened. Raises MissingSetting, UnusableSetting."""
    if settings.database_url is not None and settings.cosmos_endpoint is not None:
        raise MissingSetting("there can be one store: unset CLUDALE_DATABASE_URL or CLUDALE_COSMOS_ENDPOINT")
    _check_state_stores(settings, only)
    inside(settings)
    if settings.dapr:
        if settings.app_api_token is None:
            raise MissingSetting(
                "CLUDALE_DAPR needs APP_API_TOKEN, the same for the sidecar and here: without it anyone who reaches "
                "this port could deliver events"
            )
        app_id(settings, only)
        if set(only) != set(NAMES) and settings.organizer_key is None:
            raise MissingSetting("services behind sidecars call each other with one key: set CLUDALE_ORGANIZER_KEY")
    _check_issuer(settings, only)
    if "payments" in only:
        _check_provider(settings)
    if {"notifications", "orders"}.intersection(only) and settings.smtp_host is not None:
        try:
            sender_address(settings.smtp_from)
        except ValueError as error:
            wanted = "expected an e-mail address: tickets@example.com, or Cludale Tickets <tickets@example.com>"
            raise UnusableSetting("CLUDALE_SMTP_FROM", settings.smtp_from, wanted) from error
    if "notifications" in only:
        webhook_networks(settings)
        try:
            sender_address(settings.smtp_bounces or settings.smtp_from)
        except ValueError as error:
            wanted = "expected an e-mail address: bounces@example.com"
            raise UnusableSetting("CLUDALE_SMTP_BOUNCES", settings.smtp_bounces or "", wanted) from error
    for callee in reversed(NAMES):
        if callee not in only and any(callee in each.needs for each in SERVICES if each.name in only):
            url_of(settings, callee)


def _check_provider(settings: Settings) -> None:
    """Can the money be taken as the settings say? Raises MissingSetting."""
    if settings.payment_provider is PaymentProvider.NONE:
        raise MissingSetting(
            "nobody takes the money: CLUDALE_PAYMENT_PROVIDER=stripe takes it, simulated sells tickets without it"
        )
    if settings.payment_provider is PaymentProvider.STRIPE:
        if settings.stripe_key is None:
            raise MissingSetting("CLUDALE_PAYMENT_PROVIDER=stripe needs CLUDALE_STRIPE_KEY")
        if find_spec("stripe") is None:
            raise MissingSetting(
                "CLUDALE_PAYMENT_PROVIDER=stripe needs the package stripe: pip install 'cludale[stripe]'"
            )


def _check_issuer(settings: Settings, only: Collection[str]) -> None:
    """Can people sign in as the settings say? Raises MissingSetting, UnusableSetting."""
    try:
        roles.mapping(settings.oidc_roles)
    except ValueError as error:
        raise UnusableSetting("CLUDALE_OIDC_ROLES", settings.oidc_roles, str(error)) from error
    if settings.oidc_issuer is None or "concerts" not in only:
        return
    for variable, value in (
        ("CLUDALE_OIDC_CLIENT_ID", settings.oidc_client_id),
        ("CLUDALE_PUBLIC_URL", settings.public_url),
    ):
        if value is None:
            raise MissingSetting(f"CLUDALE_OIDC_ISSUER needs {variable}")
    for variable, url in (("CLUDALE_OIDC_ISSUER", settings.oidc_issuer), ("CLUDALE_PUBLIC_URL", settings.public_url)):
        where = urlsplit(url or "")
        if where.scheme != "https" and where.hostname not in LOOPBACK:
            raise UnusableSetting(variable, url or "", "https is wanted; without it, on this machine alone")


def _check_state_stores(settings: Settings, only: Collection[str]) -> None:
    """Are Dapr's state stores asked for where they can be used? Raises MissingSetting."""
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
    if settings.concerts_state is not None and (not settings.dapr or set(only) != {"concerts"}):
        raise MissingSetting(
            "CLUDALE_CONCERTS_STATE is for `cludale serve concerts` with CLUDALE_DAPR=1: a sidecar has the state store"
        )


def app_id(settings: Settings, only: Collection[str]) -> str:
    """What the sidecar is called. Raises MissingSetting."""
    if settings.app_id is not None:
        return settings.app_id
    if len(set(only)) != 1:
        raise MissingSetting("several services behind one sidecar need APP_ID, its app id")
    return next(iter(only))


def broker_backlog(settings: Settings, only: Collection[str]) -> BrokerBacklog | None:
    """What counts the events that wait at the broker for this service; None: nothing can be asked."""
    nats, rabbitmq = settings.nats_monitor_url, settings.rabbitmq_monitor_url
    if (nats is None and rabbitmq is None) or not settings.dapr:
        return None
    own = app_id(settings, only)
    topics = topics_heard(CATALOGUE, frozenset().union(*(HEARS.get(name, ()) for name in only)))
    heard, again = [f"{own}-{topic}" for topic in topics], dead_letter_topic(own)
    if rabbitmq is not None:
        return BrokerBacklog(RabbitMqMonitor(rabbitmq, [*heard, f"{own}-{again}"]))
    return BrokerBacklog(NatsMonitor(str(nats), [*heard, again]))


def wallets(settings: Settings, clock: Clock) -> Wallets:
    """What makes passes for wallets, as far as they are set up. Raises MissingSetting."""
    key, issuer = settings.google_wallet_key, settings.google_wallet_issuer
    if (key is None) is not (issuer is None):
        raise MissingSetting("Google Wallet needs both CLUDALE_GOOGLE_WALLET_KEY and CLUDALE_GOOGLE_WALLET_ISSUER")
    if settings.apple_pass_pem is None and key is None:
        return NoWallets()
    from cludale.adapters.wallets.kept import KeptWallets, Unusable  # noqa: PLC0415 - few have one, and it loads long

    try:
        return KeptWallets(apple_pem=settings.apple_pass_pem, google_key=key, google_issuer=issuer, clock=clock)
    except (*Unusable, OSError) as error:
        raise MissingSetting(f"passes for wallets can't be signed: {error}") from error


def through_sidecar(settings: Settings, service: str) -> dict[str, str]:
    """The headers of a call that goes through the sidecar. One that belongs to no trace is not recorded there."""
    if not settings.dapr:
        return {}
    token = {"dapr-api-token": settings.dapr_api_token} if settings.dapr_api_token else {}
    return {"dapr-app-id": service, "traceparent": UNTRACED, **token}


def sidecar_of(settings: Settings) -> Sidecar:
    """The sidecar of this process. Raises MissingSetting."""
    try:
        trust = trust_named_in(_sidecar_url(settings))
    except (OSError, ssl.SSLError) as error:
        raise MissingSetting(f"{settings.sidecar_certificate} (CLUDALE_SIDECAR_CERTIFICATE): {error}") from error
    return Sidecar(settings.dapr_http_port, settings.dapr_api_token, trust=trust)


def _sidecar_url(settings: Settings) -> str:
    certificate = settings.sidecar_certificate
    scheme, trusting = ("http", "") if certificate is None else ("https", naming(certificate))
    return f"{scheme}://{SIDECAR_HOST}:{settings.dapr_http_port}{trusting}"


def url_of(settings: Settings, service: str) -> str:
    """Where those that call a service find it, when it is in another process. Raises MissingSetting."""
    if settings.dapr:
        return _sidecar_url(settings)
    url: str | None = getattr(settings, f"{service}_url", None)
    if url is None:
        callers = " and ".join(each.name for each in SERVICES if service in each.needs)
        raise MissingSetting(f"{callers} without {service}: CLUDALE_{service.upper()}_URL must say where {service} is")
    return url


def trial_url_of(settings: Settings, service: str) -> str | None:
    """Where a release that takes no events yet calls a service; None: where it does later, too."""
    if not settings.dapr or settings.trial_url is None:
        return None
    return settings.trial_url.replace("{service}", service)


def without_asyncpg(missing: ModuleNotFoundError) -> MissingSetting:
    """What to say where a database is named and its driver is not installed."""
    return MissingSetting(f"CLUDALE_DATABASE_URL needs the package {missing.name}: pip install 'cludale[distributed]'")
