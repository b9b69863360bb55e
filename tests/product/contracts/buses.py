"""The buses that the suite runs over. A new adapter adds its stand here: a class, and how it is made in BUSES."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from tests.fakes import CountingIds, ManualClock
from tests.letters import buried
from tests.parts import need
from tests.product.adapters.dapr.apps import App
from tests.product.contracts.samples import CODEC

from cludale.adapters.embedded.bus import EmbeddedBus
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.ports.bus import EventBus, Subscription
from cludale.runtime import dead_letters
from cludale.runtime.dead_letters import DeadLetters
from cludale_operations.local.daprd import Broker
from cludale_operations.local.nats import Nats
from cludale_operations.local.rabbitmq import RabbitMq

ATTEMPTS = 4
"""The delivery limit that a stand sets."""


class Stand(Protocol):
    """A bus under test, its dead letters and all that it needs to run. Retries come within milliseconds."""

    async def start(self, subscriptions: Sequence[Subscription]) -> EventBus:
        """The bus, delivering to these."""
        ...

    async def dead(self) -> Sequence[tuple[str, bytes]]:
        """What was given up so far: for whom, and the body. For what is no event at all: for nobody in particular."""
        ...

    async def stop(self) -> None:
        """Deliver no more."""
        ...


class EmbeddedStand:
    """The embedded bus, with its dead letters in a store of their own."""

    def __init__(self, folder: Path) -> None:
        self._store = SqliteStore(folder / "letters.db", dead_letters.KINDS, CODEC)
        self._letters = DeadLetters(self._store, ManualClock())
        self._bus = EmbeddedBus(
            CODEC,
            ids=CountingIds(),
            backoff=Backoff(0.002, 0.01),
            attempts=ATTEMPTS,
            dead_letters=self._letters,
        )

    async def start(self, subscriptions: Sequence[Subscription]) -> EventBus:
        self._bus.start(subscriptions)
        return self._bus

    async def dead(self) -> Sequence[tuple[str, bytes]]:
        return [(each.consumer, each.body.encode()) for each in await buried(self._store)]

    async def stop(self) -> None:
        await self._bus.stop()
        await self._store.close()


class DaprStand:
    """The Dapr bus behind a real sidecar, over a real broker that has nothing of other tests."""

    def __init__(self, folder: Path, broker: Broker, url: str) -> None:
        self._app = App(folder, broker, url, attempts=ATTEMPTS)

    async def start(self, subscriptions: Sequence[Subscription]) -> EventBus:
        await self._app.start(subscriptions)
        return self._app.bus

    async def dead(self) -> Sequence[tuple[str, bytes]]:
        return await self._app.dead()

    async def stop(self) -> None:
        await self._app.stop()


class Make(Protocol):
    """Makes a stand whose files are in `folder`. Called on the event loop."""

    def __call__(self, folder: Path, /) -> Stand: ...


def jetstream_bus(request: pytest.FixtureRequest) -> Make:
    need("daprd")
    server: Nats = request.getfixturevalue("nats")
    return lambda folder: DaprStand(folder, Broker.NATS, server.url)


def rabbitmq_bus(request: pytest.FixtureRequest) -> Make:
    need("daprd")
    server: RabbitMq = request.getfixturevalue("rabbitmq_server")
    return lambda folder: DaprStand(folder, Broker.RABBITMQ, server.url)


BUSES: Mapping[str, Callable[[pytest.FixtureRequest], Make]] = {
    "embedded": lambda _: EmbeddedStand,
    "dapr over JetStream": jetstream_bus,
    "dapr over RabbitMQ": rabbitmq_bus,
}
