"""Preflight: checks, before a process starts, that it has every setting that its services need."""

import hmac
import secrets
import time
from collections.abc import Collection

from cludale.adapters.dapr.sidecar import HOST as SIDECAR_HOST
from cludale.adapters.smtp import sender_address
from cludale.adapters.system.keys import kept_key
from cludale.ports.tracing import UNTRACED
from cludale.services import NAMES
from cludale.services.catalogue import SERVICES
from cludale.web.limits import Addresses, Limits, RequestLimit
from cludale.wiring.settings import PaymentProvider, Settings, UnusableSetting


class MissingSetting(Exception):
    """Something that these services need is not there; the message says what to set or install."""


def check(settings: Settings, only: Collection[str]) -> None:
    """Is all said that these services need? Before anything is opened. Raises MissingSetting, UnusableSetting."""
    if settings.database_url is not None and settings.cosmos_endpoint is not None:
        raise MissingSetting("there can be one store: unset CLUDALE_DATABASE_URL or CLUDALE_COSMOS_ENDPOINT")
    _check_state_stores(settings, only)
    if settings.dapr:
        if settings.app_api_token is None:
            raise MissingSetting(
                "CLUDALE_DAPR needs APP_API_TOKEN, the same for the sidecar and here: without it anyone who reaches "
                "this port could deliver events"
            )
        app_id(settings, only)
        if set(only) != set(NAMES) and settings.organizer_key is None:
            raise MissingSetting("services behind sidecars call each other with one key: set CLUDALE_ORGANIZER_KEY")
    if "payments" in only and settings.payment_provider is PaymentProvider.NONE:
        raise MissingSetting(
            "nobody takes the money: CLUDALE_PAYMENT_PROVIDER=simulated sells tickets without it, and there is no "
            "other provider yet"
        )
    if "notifications" in only and settings.smtp_host is not None:
        try:
            sender_address(settings.smtp_from)
        except ValueError as error:
            wanted = "expected an e-mail address: tickets@example.com, or Cludale Tickets <tickets@example.com>"
            raise UnusableSetting("CLUDALE_SMTP_FROM", settings.smtp_from, wanted) from error
    for callee in reversed(NAMES):
        if callee not in only and any(callee in each.needs for each in SERVICES if each.name in only):
            url_of(settings, callee)


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


def token_key(settings: Settings) -> str:
    """What orders' access tokens follow from: all replicas of orders need the same."""
    if settings.token_key is not None:
        return settings.token_key
    if settings.dapr and settings.organizer_key is not None:
        return hmac.digest(settings.organizer_key.encode(), b"cludale access tokens", "sha256").hex()
    return kept_key(settings.data_dir / "token.key")


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


def key_hash(settings: Settings) -> bytes:
    """What the hashes of keys are made with: the same in all services."""
    if settings.key_hash is not None:
        return settings.key_hash.encode()
    made = settings.data_dir / "keys.key"
    if settings.organizer_key is not None and not made.exists():  # a first key that is set later ends no other one
        return hmac.digest(settings.organizer_key.encode(), b"cludale keys", "sha256")
    return kept_key(made).encode()


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
        return RequestLimit(name, most=most, seconds=settings.limit_seconds, monotonic=time.monotonic)

    try:
        addresses = Addresses(each.strip() for each in settings.trusted_proxies.split(",") if each.strip())
    except ValueError as error:
        raise UnusableSetting("CLUDALE_TRUSTED_PROXIES", settings.trusted_proxies, str(error)) from error
    found = Limits(addresses, limit("address", settings.address_requests), limit("key", settings.key_requests))
    return None if found.per_address is None and found.per_key is None else found


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
