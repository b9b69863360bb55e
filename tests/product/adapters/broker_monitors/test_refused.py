"""A broker's monitoring that lets nobody in: the setting is named that says where it is, and with which login."""

import asyncio

import pytest
from tests.listening import listening

from cludale.adapters.broker_monitors.nats import NatsMonitor
from cludale.adapters.broker_monitors.rabbitmq import RabbitMqMonitor
from cludale.ports.broker_monitor import NotKnown


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("monitor", "setting"),
    [(NatsMonitor, "CLUDALE_NATS_MONITOR_URL"), (RabbitMqMonitor, "CLUDALE_RABBITMQ_MONITOR_URL")],
)
async def test_a_refused_login_names_the_setting_of_its_own_broker(
    monitor: type[NatsMonitor] | type[RabbitMqMonitor], setting: str
) -> None:
    async with listening(refuse) as port:
        asked = monitor(f"http://127.0.0.1:{port}", ["one"])
        with pytest.raises(NotKnown, match=f"does not let this process in: see {setting}$"):
            await asked.waiting()
        await asked.close()
