"""An app behind a real sidecar: the adapter with its routes served by the real door, its handlers the test's own."""

import asyncio
import shutil
import socket
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvicorn
from litestar.exceptions import LitestarDeprecationWarning
from tests.contracts.samples import CODEC
from tests.fakes import CountingIds, ManualClock
from tests.patience import until

from cludale.adapters.dapr.bus import DaprBus
from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.dapr.publisher import Publisher
from cludale.adapters.dapr.routes import AppToken, Consumption, sidecar_routes
from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.sqlite import SqliteStore
from cludale.http.access import Access
from cludale.kernel.wire import Codec
from cludale.local.daprd import COMPONENTS, Broker, Daprd
from cludale.ports.bus import Subscription
from cludale.runtime import dead_letters
from cludale.runtime.backoff import Backoff
from cludale.runtime.dead_letters import DeadLetters
from cludale.web.app import WebApp
from cludale.web.door import Doorkeeper, Limits

ACKNOWLEDGED_SECONDS = 0.2
"""In which a sidecar tells the broker what the app has answered; else that comes again, to the next test's app."""
API_TOKEN, APP_TOKEN, ORGANIZER = "asked-of-the-app", "shown-to-the-app", "organizer-key"


class App:
    """The app `audit`, which hears every topic, with its sidecar."""

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        broker_url: str,
        *,
        attempts: int = 4,
        codec: Codec = CODEC,
        name: str = "audit",
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self.daprd = Daprd(
            "audit",
            folder / f"{name}-sidecar",
            app_port=self.port,
            resources=[COMPONENTS / broker, _without_state(folder / "common")],
            secrets={"broker-url": broker_url, "CLUDALE_BROKER_URL": broker_url, **(secrets or {})},
            api_token=API_TOKEN,
            app_token=APP_TOKEN,
            name=f"{name}-sidecar",
        )
        self._codec = codec
        self.store = SqliteStore(folder / f"{name}.db", dead_letters.KINDS, codec)
        self.letters = DeadLetters(self.store, ManualClock())
        self.sidecar = Sidecar(self.daprd.http_port, API_TOKEN)
        self.inbound = Inbound(
            codec,
            app_id="audit",
            ids=CountingIds(),
            backoff=Backoff(0.002, 0.01),
            attempts=attempts,
            dead_letters=self.letters,
        )
        self.bus = DaprBus(self.sidecar, Publisher(self.sidecar, "events"), self.inbound, codec.catalogue)
        self.ready = True
        self.consumption = Consumption(wanted=True, is_ready=lambda: self.ready)
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, subscriptions: Sequence[Subscription]) -> None:
        """Listen, and start the sidecar; events come as soon as it has subscribed."""
        self.bus.start(subscriptions)
        await self.listen(frozenset().union(*(each.event_types for each in subscriptions)))
        await self.daprd.start()

    async def listen(self, heard: frozenset[str]) -> None:
        routes = sidecar_routes(
            self._codec.catalogue,
            self.inbound,
            self.sidecar,
            AppToken(APP_TOKEN),
            self.consumption,
            Access(organizer_key=ORGANIZER, token_key="token-key"),
            heard=heard,
            app_id="audit",
            pubsub="events",
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LitestarDeprecationWarning)  # of path parameters, as everywhere else
            app = WebApp(
                [],
                is_ready=lambda: self.ready,
                gauges=dict,
                max_body_bytes=65_536,
                version="0",
                internal=routes,
                admit=AppToken(APP_TOKEN).check_call,
            )
        keeper = Doorkeeper(app.express, app.problems, Limits(), internal=app.internal)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app.asgi,
                http=keeper.protocol,  # type: ignore[arg-type] # as in web/server.py
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._serving = asyncio.create_task(self._server._serve([self._listener]))
        await until(lambda: self._server is not None and self._server.started)

    async def dead(self) -> list[tuple[str, bytes]]:
        found, _ = await self.letters.waiting()
        return [(each.state.consumer, each.state.body.encode()) for each in found]

    async def stop(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        await asyncio.sleep(ACKNOWLEDGED_SECONDS)
        await self.daprd.kill()
        await self.bus.stop()
        await self.sidecar.close()
        await self.store.close()
        self._listener.close()


def _without_state(folder: Path) -> Path:
    """The component files that every broker shares, but for the state store, which wants a database."""
    folder.mkdir(exist_ok=True)
    for name in ("secrets.yaml", "resiliency.yaml"):
        shutil.copy(COMPONENTS / "common" / name, folder / name)
    return folder
