"""How many events a RabbitMQ broker has for a service that the service has not answered.

AMQP tells of a queue only what is ready; what is delivered and not acknowledged is told by the management API.
"""

import base64
from collections.abc import Collection
from urllib.parse import unquote, urlsplit

import msgspec

from cludale.ports.broker_monitor import NotKnown
from cludale.web.client import Client, NoAnswer
from cludale.web.http1 import Target

ANSWER_SECONDS = 2.0
PATH = "/api/queues?columns=name,messages_ready,messages_unacknowledged"


class _Queue(msgspec.Struct):
    name: str
    messages_ready: int = 0
    messages_unacknowledged: int = 0


class RabbitMqMonitor:
    """Implements BrokerMonitor."""

    def __init__(self, url: str, queues: Collection[str]) -> None:
        """`url`: of the management API with its login, `http://user:password@rabbitmq:15672`; a user with the tag
        `monitoring` will do. `queues`: the service's, by name. Raises ValueError for what is no address.
        """
        parts = urlsplit(url)
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        self._client = Client(
            Target.of(url),
            connections=1,
            timeout_seconds=ANSWER_SECONDS,
            headers={"authorization": f"Basic {base64.b64encode(login).decode()}"},
        )
        self._queues = frozenset(queues)

    async def waiting(self) -> int | None:
        """Events that are ready, or delivered and not acknowledged. RabbitMQ counts every few seconds.

        Raises NotKnown.
        """
        try:
            answer = await self._client.ask("GET", PATH, repeatable=True)
            if answer.status in (401, 403):
                raise NotKnown("RabbitMQ's management API does not let this user in (CLUDALE_RABBITMQ_MONITOR_URL)")
            found = msgspec.json.decode(answer.body if answer.status == 200 else b"", type=list[_Queue])
        except (NoAnswer, msgspec.MsgspecError) as error:
            raise NotKnown(str(error)) from error
        mine = [each for each in found if each.name in self._queues]
        return sum(each.messages_ready + each.messages_unacknowledged for each in mine) if mine else None

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
