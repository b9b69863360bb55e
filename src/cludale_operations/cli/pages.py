"""`cludale pages`: the pages that people see, as a process of its own before which the gateway stands."""

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import typer

from cludale import __version__
from cludale.wiring.settings import Settings
from cludale_operations.cli.screen import fail, say

if TYPE_CHECKING:
    import socket

YIELDS = 10
"""By so much its priority is below that of what sells, as `nice` counts: on one machine, pages take what that leaves.
Where nothing else wants the processor it makes no difference."""


def pages(
    api: Annotated[
        str,
        typer.Option("--api", envvar="CLUDALE_API_URL", help="Where the services' API is: the gateway's address."),
    ] = "http://127.0.0.1:8080",
) -> None:
    """Start the shop's pages alone, in the foreground, until Ctrl+C or SIGTERM.

    They reach the services through their API at --api only, keep nothing, and listen on CLUDALE_HOST and CLUDALE_PORT.
    Rehearsals that the console starts run beside this process, where cludale_proof is installed. Both have a lower
    priority than what sells on the same machine.
    `cludale gateway --pages http://host:port` sends what is theirs to them.
    """
    import ssl

    import uvloop

    from cludale.web.http1 import Target
    from cludale.web.server import CannotListen, listen
    from cludale_operations.cli.logs import log_to_stderr

    settings = Settings.from_env(os.environ)
    log_to_stderr(settings.log_level, settings.log_format)
    try:
        Target.of(api)
        listener = listen(settings.host, settings.port)
        os.nice(YIELDS)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, api, listener))
    except ssl.SSLError as error:
        fail(f"{error}: the certificate of --api, or CLUDALE_INSIDE_CERTIFICATE, is none")
    except ValueError as error:
        fail(f"{error} (--api)")
    except CannotListen as error:
        fail(f"{error} (CLUDALE_HOST, CLUDALE_PORT)")
    except OSError as error:
        fail(f"{error.filename or api}: {error.strerror}")


async def _serve(settings: Settings, api: str, listener: "socket.socket") -> None:
    from cludale.adapters.system.clock import SystemClock
    from cludale.pages.api import OverHttp
    from cludale.pages.building import Pages
    from cludale.services import NAMES
    from cludale.web.app import WebApp
    from cludale.web.server import address_of
    from cludale.web.server import serve as serve_app
    from cludale.wiring.networks import connection_limits
    from cludale_operations.cli.serve import tls_inside
    from cludale_operations.rehearsing import rehearsing

    tls = tls_inside(settings)
    site = Pages(OverHttp(api), now=SystemClock().now, services=NAMES, rehearsals=rehearsing())
    # They need nothing of their own; whether the services work, the gateway says.
    app = WebApp([], is_ready=lambda: True, gauges=dict, version=__version__, internal=site.routes)

    async def started() -> None:
        address = address_of(listener, is_secure=tls is not None)
        say(f"Cludale Tickets pages {__version__} on {address} (of {api})")
        say(f"  shop  {address}/shop")

    try:
        await serve_app(
            app,
            listener,
            limits=connection_limits(settings),
            shutdown_seconds=settings.shutdown_seconds,
            started=started,
            stopping=lambda: None,
            tls=tls,
        )
    finally:
        await site.stop()
