"""`cludale serve`: all of the platform, or some of its services, in the foreground."""

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
import typer
import uvloop

from cludale import __version__
from cludale.adapters.sqlite import StoreInUse
from cludale.adapters.system.keys import UnusableKey
from cludale.kernel.money import Money
from cludale.pages.api import InProcess
from cludale.ports.records import SchemaRefused, StoreUnavailable
from cludale.services import NAMES
from cludale.services.concerts.directory import ConcertSnapshot, Search
from cludale.services.orders.privacy.upkeep import ErasuresOwed
from cludale.web.app import WebApp
from cludale.web.server import CannotListen, address_of, listen
from cludale.web.server import serve as serve_app
from cludale.web.trust import shown
from cludale.wiring.needs import MissingSetting
from cludale.wiring.networks import connection_limits, inside
from cludale.wiring.platform import Platform
from cludale.wiring.secret_store import with_secrets
from cludale.wiring.settings import Settings
from cludale_operations.cli.logs import log_to_stderr
from cludale_operations.cli.screen import fail, say
from cludale_operations.gateway.certificates import NoHttps
from cludale_operations.gateway.clients import most_clients
from cludale_operations.gateway.configuration import GatewayLimits
from cludale_operations.gateway.tls import Doors, https
from cludale_operations.local.find import MissingProgram, find
from cludale_operations.local.free_ports import LOOPBACK
from cludale_operations.local.tether import tethered
from cludale_operations.telemetry.trouble import NoTelemetry
from cludale_operations.telemetry.turning_on import telemetry_of

_log = logging.getLogger("cludale")


def serve(
    services: Annotated[
        list[str] | None,
        typer.Argument(help=f"{', '.join(NAMES)}; without any, all of them.", metavar="[SERVICE]…"),
    ] = None,
) -> None:
    """Start the server, in the foreground, until Ctrl+C or SIGTERM.

    What it serves goes on where the last start stopped. `cludale settings` shows what can be set.
    """
    settings = Settings.from_env(os.environ)
    chosen = [each for each in services or ["all"] if each != "all"] or list(NAMES)
    for each in chosen:
        if each not in NAMES:
            fail(f"there is no service {each!r}; these are: all, {', '.join(NAMES)}")
    log_to_stderr(settings.log_level, settings.log_format)
    for variable, meant in Settings.unknown(os.environ).items():
        if variable != "CLUDALE_URL":
            _log.warning("%s means nothing here%s", variable, f"; {meant} does" if meant else "")
    try:
        with contextlib.ExitStack() as open_sockets:
            listener = open_sockets.enter_context(listen(settings.host, settings.port))
            doors = None
            if settings.tls_certificate is not None:
                redirect = settings.redirected_port
                plain = None if redirect is None else open_sockets.enter_context(listen(settings.host, redirect))
                doors = Doors(listener, open_sockets.enter_context(listen(LOOPBACK, 0)), plain)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(settings, chosen, listener, doors))
    except CannotListen as error:
        fail(f"{error} (CLUDALE_HOST, CLUDALE_PORT)")
    except StoreInUse as error:
        fail(f"{error} (CLUDALE_DATA_DIR)")
    except NoHttps as error:
        fail(f"{error} (CLUDALE_TLS_CERTIFICATE)")
    except ssl.SSLError as error:
        fail(f"{settings.inside_certificate} can't be shown: {error} (CLUDALE_INSIDE_CERTIFICATE)")
    except ErasuresOwed as error:
        fail(str(error))
    except (SchemaRefused, MissingSetting, StoreUnavailable, NoTelemetry, UnusableKey, MissingProgram) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or settings.data_dir}: {error.strerror} (CLUDALE_DATA_DIR names the data folder)")


async def _serve(settings: Settings, chosen: list[str], listener: socket.socket, doors: Doors | None = None) -> None:
    """`listener`: where people come in; `doors`: with HTTPS, where it is, and where this server is behind it."""
    tls = tls_inside(settings)
    settings = await with_secrets(settings)
    if doors is not None:  # all requests come through the proxy of our own
        trusted = ",".join(filter(None, (settings.trusted_proxies, f"{LOOPBACK}/32")))
        settings = msgspec.structs.replace(settings, trusted_proxies=trusted)
    telemetry = telemetry_of(settings, chosen)
    platform = Platform(settings, chosen, watching=telemetry)
    services = InProcess()
    pages = None
    if platform.whole:
        from cludale.pages.building import Pages  # a service by itself has no use for them
        from cludale_operations.rehearsing import rehearsing

        pages = Pages(services, now=platform.clock.now, services=NAMES, rehearsals=rehearsing())
    app = WebApp(
        platform.services,
        is_ready=lambda: platform.ready,
        troubles=lambda: platform.troubles,
        gauges=platform.gauges,
        version=__version__,
        traced=None if telemetry is None else telemetry.requests(platform.access.is_service),
        internal=[*platform.internal, *(() if pages is None else pages.routes)],
        admit=platform.admit,
        limits=platform.limits,
        inside=inside(platform.settings),
        requests=platform.requests,
    )
    services.find = app.router.find
    if telemetry is not None:
        app.metrics.watch_families(telemetry.families)

    async def started() -> None:
        if telemetry is not None:
            telemetry.start(app.metrics.everything)
        await platform.start()
        await _greet(platform, listener)

    try:
        async with contextlib.nullcontext() if doors is None else _https(settings, doors):
            await serve_app(
                app,
                listener if doors is None else doors.inner,
                limits=connection_limits(settings),
                shutdown_seconds=settings.shutdown_seconds,
                started=started,
                stopping=platform.stopping,
                tls=tls,
            )
    finally:
        if pages is not None:
            await pages.stop()
        await platform.stop()
        if telemetry is not None:
            await telemetry.stop()


def tls_inside(settings: Settings) -> ssl.SSLContext | None:
    """The TLS by which gateway and sidecar connect; None: they connect in the clear. Raises OSError, ssl.SSLError."""
    return None if settings.inside_certificate is None else shown(settings.inside_certificate)


def _https(settings: Settings, doors: Doors) -> AbstractAsyncContextManager[None]:
    """HTTPS by HAProxy, as the settings say. Raises MissingProgram."""
    if settings.tls_certificate is None:
        raise TypeError("no certificate")
    return https(
        doors,
        settings.tls_certificate.absolute(),
        program=find("haproxy"),
        tied=lambda argv: tethered(argv, when_orphaned=signal.SIGKILL),
        folder=settings.data_dir.resolve(),
        limits=GatewayLimits(
            connections=most_clients(settings.max_connections, settings.max_streams),
            request_seconds=settings.request_seconds,
            idle_seconds=settings.idle_seconds,
            stop_seconds=settings.shutdown_seconds,
        ),
        hsts_subdomains=settings.hsts_subdomains,
    )


def home_of_data(settings: Settings) -> str:
    """Where all that was sold is kept, for people."""
    if settings.cosmos_endpoint is not None:
        return f"Azure Cosmos DB, database {settings.cosmos_database} (CLUDALE_COSMOS_ENDPOINT)"
    return str(settings.data_dir.resolve()) if settings.database_url is None else "PostgreSQL (CLUDALE_DATABASE_URL)"


async def _greet(platform: Platform, listener: socket.socket) -> None:
    """Tell whoever started it what runs where, and how to buy a ticket."""
    settings = platform.settings
    is_secure = settings.tls_certificate is not None or settings.inside_certificate is not None
    address = address_of(listener, is_secure=is_secure)
    names = ", ".join(service.name for service in platform.services)
    key = "in CLUDALE_ORGANIZER_KEY" if settings.organizer_key else settings.data_dir.resolve() / "organizer.key"
    if platform.whole:
        say(f"The shop: {address}/shop")
    say(f"Cludale Tickets {__version__} on {address} ({names})")
    say(f"  data           {home_of_data(settings)}")
    say(f"  organizer key  {key}")
    say(f"  documentation  {address}/docs")
    if platform.whole:
        now = platform.clock.now()
        found, _ = await platform.concerts.directory.search(Search(since=now.date().isoformat(), limit=100))
        wanted = _to_buy(found, now)
        if wanted is not None:
            body = json.dumps({"concertId": wanted.concert_id, "userId": "me", "quantity": wanted.quantity})
            say(f"Buy {'a ticket' if wanted.quantity == 1 else 'two tickets'} for {wanted.price} each:")
            say(f"  curl -s {address}/orders -H 'content-type: application/json' -d '{body}'")
        else:
            say("Put a concert on:")
            say(f"  {_own_name()} concerts add 'The Paper Lanterns' 2027-06-05 --seats 1000 --price 45.00EUR")


class Offer(NamedTuple):
    """Tickets of a concert that can be had now, at `price` each."""

    concert_id: str
    quantity: int
    price: Money


def _to_buy(found: Iterable[ConcertSnapshot], now: datetime) -> Offer | None:
    """The first concert that has tickets for somebody who asks at `now`, and how many to ask for: two, if it can be."""
    for concert, sections, at in found:
        on_sale = concert.on_sale_at is None or concert.on_sale_at <= now
        on_sale = on_sale and concert.status in ("listed", "unlisted")
        # seats of one order are in one section
        left = {section.id: section.available(at) for section in sections}
        prices = {section.id: section.price for section in sections}
        offered = [plan.id for plan in concert.offered(prices)]
        quantity = min(2, concert.max_per_order, max(left[id] for id in offered))
        if on_sale and now < concert.over_at and quantity > 0:
            return Offer(concert.id, quantity, next(prices[id] for id in offered if left[id] >= quantity))
    return None


def _own_name() -> str:
    """What to type to get here again: `cludale`, or the path to it where that is not enough."""
    return "cludale" if shutil.which("cludale") else sys.argv[0]
