"""Preflight: checks, before a process starts, that it has every setting that its services need."""

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Collection
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cludale.adapters.dapr.sidecar import HOST as SIDECAR_HOST
from cludale.adapters.dapr.subscriptions import dead_letter_topic, topics_heard
from cludale.adapters.nats_monitor.backlog import NatsMonitor
from cludale.adapters.rabbitmq_monitor.backlog import RabbitMqMonitor
from cludale.adapters.smtp import sender_address
from cludale.adapters.system.keys import KeyPair, kept_key, kept_pair
from cludale.adapters.system.ticket_keys import KeptTicketKeys
from cludale.adapters.webhook_posts.addresses import Networks
from cludale.kernel import roles
from cludale.ports.clock import Clock
from cludale.ports.ticket_keys import TicketKeys
from cludale.ports.tracing import UNTRACED
from cludale.ports.wallets import NoWallets, Wallets
from cludale.runtime.broker_backlog import BrokerBacklog
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS, SERVICES
from cludale.services.tickets.codes import key_of
from cludale.web.limits import Addresses, Inside, Limits, RequestLimit
from cludale.web.shared_limits import SharedLimit
from cludale.wiring.settings import PaymentProvider, Settings, UnusableSetting

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


def token_keys(settings: Settings) -> KeyPair:
    """What orders' access tokens follow from, and what they may have followed from: the same in all of orders."""
    if settings.token_key is not None:
        return KeyPair(settings.token_key, settings.token_key_too)
    if settings.dapr and settings.organizer_key is not None:
        key = hmac.digest(settings.organizer_key.encode(), b"cludale access tokens", "sha256").hex()
        return KeyPair(key, settings.token_key_too)
    kept = kept_pair(settings.data_dir, "token")
    return kept if settings.token_key_too is None else kept._replace(too=settings.token_key_too)


_HASHED: Final = "sha256-"
"""What a kept pepper begins with that is bytes, in hexadecimal."""


def ticket_keys(settings: Settings) -> TicketKeys:
    """What codes of tickets are signed with: all replicas of tickets need the same. Raises UnusableKey, OSError."""
    text = settings.ticket_keys
    if text is None and settings.dapr and settings.organizer_key is not None:
        seed = hmac.digest(settings.organizer_key.encode(), b"cludale tickets", "sha256")
        text = urlsafe_b64encode(seed).rstrip(b"=").decode()
    return KeptTicketKeys(settings.data_dir / "tickets.key", key_of, text=text)


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


def privacy_keys(settings: Settings) -> tuple[str, str | None]:
    """The master key of personal data, and another one that some data may be under: all replicas of orders need them.

    Whoever sets one where none was set before goes on with what is under the one that had followed from other things.
    """
    made = settings.data_dir / "privacy.key"
    followed: str | None = None
    if settings.dapr and settings.organizer_key is not None:
        followed = hmac.digest(settings.organizer_key.encode(), b"cludale personal data", "sha256").hex()
    elif settings.privacy_key is None or made.exists():
        followed = kept_key(made)
    if settings.privacy_key is None:
        if followed is None:
            raise TypeError("there is always one")
        return followed, settings.privacy_key_too
    return settings.privacy_key, settings.privacy_key_too or followed


class KeyHashes(NamedTuple):
    """What the hashes of keys are made with, as it stood at one moment: the same in all services."""

    used: bytes
    beside: tuple[bytes, ...]
    """What is good, too, while it is changed (docs/run/secrets.md): one at the most."""
    too: tuple[bytes, ...]
    """What the hashes of kept keys may have been made with before: a setting that comes later ends no key."""

    @property
    def is_changing(self) -> bool:
        """Is another secret good beside that of the hashes of keys?"""
        return bool(self.beside)

    @property
    def buyers(self) -> list[bytes]:
        """What buyers' keys are made with: the same in all replicas of orders; with others, all tickets count anew.

        While the secret that they follow from is changed there are two, and a buyer is known by both.
        """
        return [hmac.digest(each, b"cludale buyers", "sha256") for each in (self.used, *self.beside)]


def key_hashes(settings: Settings) -> KeyHashes:
    """Read once, from the settings or the data folder. Raises OSError, UnusableKey."""
    first = None if settings.organizer_key is None else _of_first_key(settings.organizer_key)
    is_kept = (settings.data_dir / "keys.key").exists() or (settings.key_hash is None and first is None)
    kept = [_pepper(each) for each in kept_pair(settings.data_dir, "keys") if each is not None] if is_kept else []
    firsts = [] if first is None else [first]
    # a first key that is set later ends no other one
    used, *beside = [_pepper(settings.key_hash)] if settings.key_hash is not None else kept or firsts
    if settings.key_hash_too is not None:
        beside = [_pepper(settings.key_hash_too)]
    beside = [each for each in beside if each != used]
    too = [each for each in dict.fromkeys([*beside, *kept, *firsts]) if each != used]
    return KeyHashes(used, tuple(beside), tuple(too))


def keep_key_hash(folder: Path, organizer_key: str | None) -> str:
    """What the hashes of keys follow from, from now on in `keys.key`: another first key ends no other one then."""
    if organizer_key is None:
        return kept_key(folder / "keys.key")
    return kept_key(folder / "keys.key", make=lambda: _HASHED + _of_first_key(organizer_key).hex())


def _of_first_key(organizer_key: str) -> bytes:
    return hmac.digest(organizer_key.encode(), b"cludale keys", "sha256")


def _pepper(text: str) -> bytes:
    if text.startswith(_HASHED):
        with suppress(ValueError):
            return bytes.fromhex(text.removeprefix(_HASHED))
    return text.encode()


def service_keys(settings: Settings, only: Collection[str]) -> list[str]:
    """What services call each other with, the one that is sent first; none: the first key, as in earlier releases."""
    if set(only) == set(NAMES):
        return [secrets.token_urlsafe(32)]  # all are here: nobody else has it
    return [each for each in (settings.service_key, settings.service_key_too) if each is not None]


def request_limits(settings: Settings) -> Limits | None:
    """How many requests an address, and a key, may make; None: any number. Raises UnusableSetting."""

    def limit(name: str, most: int | None) -> RequestLimit | None:
        if most is None:
            return None
        if settings.database_url is None:
            return RequestLimit(name, most=most, seconds=settings.limit_seconds, clock=time.monotonic)
        secret = hmac.digest(key_hashes(settings).used, b"cludale request limits", "sha256")
        return SharedLimit(name, most=most, seconds=settings.limit_seconds, clock=time.time, secret=secret)

    addresses = trusted_addresses(settings)
    found = Limits(addresses, limit("address", settings.address_requests), limit("key", settings.key_requests))
    return None if found.per_address is None and found.per_key is None else found


def trusted_addresses(settings: Settings) -> Addresses:
    """Where requests come from, by the word of trusted proxies. Raises UnusableSetting."""
    try:
        trusted = (each.strip() for each in settings.trusted_proxies.split(",") if each.strip())
        return Addresses(trusted, ipv6_prefix=settings.address_prefix)
    except ValueError as error:
        raise UnusableSetting("CLUDALE_TRUSTED_PROXIES", settings.trusted_proxies, str(error)) from error


def inside(settings: Settings) -> Inside | None:
    """From where what is for operators is shown; None: from anywhere. Raises UnusableSetting."""
    named = [each.strip() for each in settings.inside_networks.split(",") if each.strip()]
    if not named:
        return None
    try:
        return Inside(named, trusted_addresses(settings))
    except ValueError as error:
        raise UnusableSetting("CLUDALE_INSIDE_NETWORKS", settings.inside_networks, str(error)) from error


def webhook_networks(settings: Settings) -> Networks:
    """Where webhooks may go beside public addresses. Raises UnusableSetting."""
    try:
        return Networks(each.strip() for each in settings.webhook_networks.split(",") if each.strip())
    except ValueError as error:
        raise UnusableSetting("CLUDALE_WEBHOOK_NETWORKS", settings.webhook_networks, str(error)) from error


def through_sidecar(settings: Settings, service: str) -> dict[str, str]:
    """The headers of a call that goes through the sidecar. One that belongs to no trace is not recorded there."""
    if not settings.dapr:
        return {}
    token = {"dapr-api-token": settings.dapr_api_token} if settings.dapr_api_token else {}
    return {"dapr-app-id": service, "traceparent": UNTRACED, **token}


def url_of(settings: Settings, service: str) -> str:
    """Where those that call a service find it, when it is in another process. Raises MissingSetting."""
    if settings.dapr:
        return f"http://{SIDECAR_HOST}:{settings.dapr_http_port}"
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
