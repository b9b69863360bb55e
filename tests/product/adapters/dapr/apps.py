"""An app behind a real sidecar: the adapter, its routes served over real connections, with the test's handlers."""

import asyncio
import shutil
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.fakes import CountingIds, ManualClock
from tests.letters import buried
from tests.product.contracts.samples import CODEC

from cludale.adapters.dapr.bus import DaprBus
from cludale.adapters.dapr.consumption import Consumption
from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.dapr.publisher import Publisher
from cludale.adapters.dapr.routes import AppToken, sidecar_routes
from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.wire import Codec
from cludale.ports.bus import Subscription
from cludale.runtime import dead_letters
from cludale.runtime.dead_letters import DeadLetters
from cludale.web.access import Access
from cludale.web.app import WebApp
from cludale.web.open_connections import ConnectionLimits, Connections
from cludale.web.server import accepting
from cludale_operations.local.daprd import COMPONENTS, Broker, Daprd

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
        self._serving = AsyncExitStack()

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
        app = WebApp(
            [],
            is_ready=lambda: self.ready,
            gauges=dict,
            version="0",
            internal=routes,
            admit=AppToken(APP_TOKEN).check_call,
        )
        connections = Connections(app.router.find, app.problems, ConnectionLimits())
        await self._serving.enter_async_context(accepting(connections, self._listener, shutdown_seconds=1))

    async def dead(self) -> list[tuple[str, bytes]]:
        return [(each.consumer, each.body.encode()) for each in await buried(self.store)]

    async def stop(self) -> None:
        await self._serving.aclose()
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
