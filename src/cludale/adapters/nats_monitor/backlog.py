"""How many events a NATS server has for a service that the service has not answered.

Dapr's API has no such number, so this asks the broker, beside the sidecar: once for each step of the figures, and
without a login, which NATS's monitoring does not know.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping

import msgspec

from cludale.web.client import Client, NoAnswer
from cludale.web.http1 import Target

LOOK_SECONDS = 5.0
ANSWER_SECONDS = 2.0
PATH = "/jsz?consumers=true"

_log = logging.getLogger(__name__)


class _Consumer(msgspec.Struct):
    name: str
    num_pending: int = 0
    num_ack_pending: int = 0


class _Stream(msgspec.Struct):
    consumer_detail: list[_Consumer] = []


class _Account(msgspec.Struct):
    stream_detail: list[_Stream] = []


class _JetStream(msgspec.Struct):
    account_details: list[_Account] = []


class NatsBacklog:
    """The events that wait for one service, as they were at the last look."""

    def __init__(self, url: str, consumers: Collection[str]) -> None:
        """`url`: of the server's monitoring, `http://nats:8222`; `consumers`: the service's, by name.

        Raises ValueError for what is no address.
        """
        self._client = Client(Target.of(url), connections=1, timeout_seconds=ANSWER_SECONDS)
        self._consumers = frozenset(consumers)
        self._waiting: int | None = None
        self._is_known_away = False
        self._task: asyncio.Task[None] | None = None

    def gauges(self) -> Mapping[str, float]:
        """Nothing while it is not known."""
        return {} if self._waiting is None else {"cludale_broker_waiting": self._waiting}

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.close()

    async def _run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Ask once. What can't be asked is not known, and said once."""
        try:
            answer = await self._client.ask("GET", PATH, repeatable=True)
            found = msgspec.json.decode(answer.body if answer.status == 200 else b"", type=_JetStream)
        except (NoAnswer, msgspec.MsgspecError) as error:
            if not self._is_known_away:
                _log.warning("how many events wait at the broker is not known: %s", error)
            self._waiting, self._is_known_away = None, True
            return
        streams = [stream for account in found.account_details for stream in account.stream_detail]
        mine = [each for stream in streams for each in stream.consumer_detail if each.name in self._consumers]
        # What was delivered and not answered is on the server still: it is in `num_ack_pending` alone.
        self._waiting = sum(each.num_pending + each.num_ack_pending for each in mine) if mine else None
        self._is_known_away = False
