"""How many events a NATS server has for a service that the service has not answered.

Its monitoring knows no login.
"""

from collections.abc import Collection

import msgspec

from cludale.ports.broker_monitor import NotKnown
from cludale.web.client import Client, NoAnswer
from cludale.web.http1 import Target

ANSWER_SECONDS = 2.0
PATH = "/jsz?consumers=true"


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


class NatsMonitor:
    """Implements BrokerMonitor."""

    def __init__(self, url: str, consumers: Collection[str]) -> None:
        """`url`: of the server's monitoring, `http://nats:8222`; `consumers`: the service's, by name.

        Raises ValueError for what is no address.
        """
        self._client = Client(Target.of(url), connections=1, timeout_seconds=ANSWER_SECONDS)
        self._consumers = frozenset(consumers)

    async def waiting(self) -> int | None:
        """Events that its consumers have not delivered, or not acknowledged. Raises NotKnown."""
        try:
            answer = await self._client.ask("GET", PATH, repeatable=True)
            found = msgspec.json.decode(answer.body if answer.status == 200 else b"", type=_JetStream)
        except (NoAnswer, msgspec.MsgspecError) as error:
            raise NotKnown(str(error)) from error
        streams = [stream for account in found.account_details for stream in account.stream_detail]
        mine = [each for stream in streams for each in stream.consumer_detail if each.name in self._consumers]
        # What was delivered and not answered is on the server still: it is in `num_ack_pending` alone.
        return sum(each.num_pending + each.num_ack_pending for each in mine) if mine else None

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
