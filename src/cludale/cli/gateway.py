"""`cludale gateway`: one address before the services' processes; `cludale gateway routes`: what goes where."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cludale import __version__
from cludale.cli.client import Json
from cludale.cli.screen import fail, say, table
from cludale.settings import Settings

if TYPE_CHECKING:
    from cludale.gateway.control import Control

app = typer.Typer(help="One address before the services' processes.")

TOKEN_FILE = "gateway.token"  # noqa: S105 - the file's name


@app.callback(invoke_without_command=True)
def gateway(
    context: typer.Context,
    *,
    config: Annotated[
        Path, typer.Option("--config", help="The routes, as JSON; changed by the admin API, too.")
    ] = Path("gateway.json"),
) -> None:
    """Start the gateway, in the foreground, until Ctrl+C or SIGTERM.

    It listens on CLUDALE_HOST and CLUDALE_PORT; its admin API on loopback, on CLUDALE_GATEWAY_ADMIN_PORT.
    """
    if context.invoked_subcommand is not None:
        return
    import uvloop

    from cludale.adapters.system.keys import UnusableKey
    from cludale.cli.serve import log_to_stderr
    from cludale.gateway.gateway import Gateway
    from cludale.gateway.limits import Limits
    from cludale.gateway.routes import UnusableRoutes
    from cludale.gateway.server import serve
    from cludale.web.server import CannotListen, address_of, allow_files, listen

    settings = Settings.from_env(os.environ)
    log_to_stderr(settings.log_level, settings.log_format)
    limits = Limits(
        body_bytes=settings.max_body_bytes,
        connections=settings.max_connections,
        request_seconds=settings.request_seconds,
        idle_seconds=settings.idle_seconds,
    )

    def greet(running: Gateway) -> None:
        count = len(list(running.backends))
        say(f"Cludale Tickets gateway {__version__} on {address_of(listener)} ({count} backends)")
        say(f"  routes  {config.resolve()}")
        say(f"  admin   {address_of(admin)}/-/routes")

    try:
        with (
            listen(settings.host, settings.port) as listener,
            listen("127.0.0.1", settings.gateway_admin_port) as admin,
        ):
            allow_files(2 * limits.connections + 1_024)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(
                    serve(
                        listener,
                        admin,
                        file=config,
                        token=_token(settings),
                        limits=limits,
                        stop_seconds=settings.shutdown_seconds,
                        started=greet,
                    )
                )
    except CannotListen as error:
        fail(f"{error} (CLUDALE_HOST, CLUDALE_PORT, CLUDALE_GATEWAY_ADMIN_PORT)")
    except (UnusableRoutes, UnusableKey) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or config}: {error.strerror}")


def _token(settings: Settings) -> str:
    from cludale.adapters.system.keys import kept_key

    return settings.gateway_token or kept_key(settings.data_dir / TOKEN_FILE)


def control(url: str | None) -> "Control":
    """A running gateway's admin API, as the settings tell of it."""
    from cludale.gateway.control import Control

    settings = Settings.from_env(os.environ)
    token = settings.gateway_token
    if token is None:
        file = settings.data_dir / TOKEN_FILE
        try:
            token = file.read_text(encoding="ascii").strip()
        except OSError as error:
            fail(f"the gateway's token is needed: in CLUDALE_GATEWAY_TOKEN, or in {file} ({error.strerror})")
    return Control(url or f"http://127.0.0.1:{settings.gateway_admin_port}", token)


AdminUrl = Annotated[
    str | None,
    typer.Option("--admin", envvar="CLUDALE_GATEWAY_ADMIN", help="The admin API, where the settings don't tell of it."),
]


@app.command()
def routes(*, admin: AdminUrl = None, json: Json = False) -> None:
    """Show what goes where: every backend, its revision, weight and label, and how it stands."""
    from cludale.gateway.control import GatewayRefused
    from cludale.gateway.routes import Traffic

    try:
        with control(admin) as gateway:
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
