"""Where requests may come from, how many, and where webhooks may go, by the settings. Raises UnusableSetting."""

import hmac
import time

from cludale.adapters.webhook_posts.addresses import Networks
from cludale.web.limits import Addresses, Inside, Limits, RequestLimit
from cludale.web.open_connections import ConnectionLimits
from cludale.web.shared_limits import SharedLimit
from cludale.wiring.keys import key_hashes
from cludale.wiring.settings import Settings
from cludale.wiring.variables import UnusableSetting


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


def connection_limits(settings: Settings) -> ConnectionLimits:
    """What one connection may take, and how many there may be."""
    return ConnectionLimits(
        body_bytes=settings.max_body_bytes,
        connections=settings.max_connections,
        followers=settings.max_streams,
        request_seconds=settings.request_seconds,
        idle_seconds=settings.idle_seconds,
    )


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


def webhook_networks(settings: Settings) -> Networks:
    """Where webhooks may go beside public addresses. Raises UnusableSetting."""
    try:
        return Networks(each.strip() for each in settings.webhook_networks.split(",") if each.strip())
    except ValueError as error:
        raise UnusableSetting("CLUDALE_WEBHOOK_NETWORKS", settings.webhook_networks, str(error)) from error
