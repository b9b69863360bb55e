"""How many events a RabbitMQ broker has for a service that the service has not answered.

AMQP tells of a queue only what is ready; what is delivered and not acknowledged is told by the management API
(`rabbitmq_management`).
"""

import base64
from collections.abc import Collection, Iterator
from urllib.parse import unquote, urlsplit

import msgspec

from cludale.adapters.broker_monitors.http_monitor import HttpMonitor

PATH = "/api/queues?columns=name,messages_ready,messages_unacknowledged"


class _Queue(msgspec.Struct):
    name: str
    messages_ready: int = 0
    messages_unacknowledged: int = 0


class RabbitMqMonitor(HttpMonitor):
    """Implements BrokerMonitor. RabbitMQ counts every few seconds."""

    def __init__(self, url: str, queues: Collection[str]) -> None:
        """`url`: of the management API with its login, `http://user:password@rabbitmq:15672`; a user with the tag
        `monitoring` will do. `queues`: the service's, by name. Raises ValueError for what is no address.
        """
        parts = urlsplit(url)
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        basic = {"authorization": f"Basic {base64.b64encode(login).decode()}"}
        super().__init__(url, PATH, queues, _waiting, setting="CLUDALE_RABBITMQ_MONITOR_URL", headers=basic)


def _waiting(answer: bytes) -> Iterator[tuple[str, int]]:
    for each in msgspec.json.decode(answer, type=list[_Queue]):
        yield each.name, each.messages_ready + each.messages_unacknowledged
