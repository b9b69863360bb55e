"""An app in this process, behind its real connections, for tests that hand it their own services or troubles."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from cludale.web.app import WebApp
from cludale.web.protocol import ConnectionLimits, Connections
from cludale.web.server import accepting


@asynccontextmanager
async def served_here(app: WebApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections = Connections(app.router.find, app.problems, ConnectionLimits())
    async with accepting(connections, listener, shutdown_seconds=5):
        url = "http://127.0.0.1:{1}".format(*listener.getsockname())
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            yield client
