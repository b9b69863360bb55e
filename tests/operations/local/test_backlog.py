"""How many events wait at a real broker for a service, as its monitoring says."""

import asyncio

import httpx
import pytest
from tests.within_rabbitmq import within_rabbitmq

from cludale.adapters.broker_monitors.nats import NatsMonitor
from cludale.adapters.broker_monitors.rabbitmq import RabbitMqMonitor
from cludale.ports.broker_monitor import BrokerMonitor
from cludale.runtime.broker_backlog import BrokerBacklog
from cludale_operations.local.jetstream import consumers_of, jetstream
from cludale_operations.local.nats import Nats
from cludale_operations.local.rabbitmq import RabbitMq

QUEUE = "audit-audit-dead-letters"


async def said(monitor: BrokerMonitor) -> dict[str, float]:
    backlog = BrokerBacklog(monitor)
    await backlog.look()
    await backlog.stop()
    return dict(backlog.gauges())


async def test_what_waits_for_a_service_is_counted_over_its_consumers(nats: Nats) -> None:
    async def at_nats(url: str, *consumers: str) -> dict[str, float]:
        return await said(NatsMonitor(url, consumers))

    audit, orders = ([each.name for each in consumers_of(service)] for service in ("audit", "orders"))
    assert await at_nats(nats.monitoring_url, *audit) == {"cludale_broker_waiting": 0}
    async with jetstream(nats.url) as broker:
        for topic in ("order-events", "order-events", "concert-events", "audit-dead-letters"):
            await broker.publish(topic, b"{}")
        # One is delivered and not answered: it waits still.
        consumer = await broker.subscribe(
            "order-events", durable="audit-order-events", queue="audit-order-events", stream="cludale", manual_ack=True
        )
        await consumer.next_msg(timeout=5)
        assert await at_nats(nats.monitoring_url, *audit) == {"cludale_broker_waiting": 4}
        await consumer.unsubscribe()
    assert await at_nats(nats.monitoring_url, *orders) == {"cludale_broker_waiting": 1}
    assert await at_nats(nats.monitoring_url, "none-of-these") == {}
    assert await at_nats(f"{nats.monitoring_url}/nothing", *audit) == {}
    assert await at_nats("http://127.0.0.1:9", *audit) == {}


async def test_what_waits_at_rabbitmq_is_what_is_ready_and_what_is_not_acknowledged(
    rabbitmq_server: RabbitMq, caplog: pytest.LogCaptureFixture
) -> None:
    async def at_rabbitmq(url: str, *queues: str) -> dict[str, float]:
        return await said(RabbitMqMonitor(url, queues))

    url = rabbitmq_server.management_url
    # Two are sent, and one is taken and acknowledged only after a while.
    await within_rabbitmq(
        rabbitmq_server,
        f"""
        Publish = {{'basic.publish', 0, <<>>, <<"{QUEUE}">>, false, false}},
        [amqp_channel:call(Channel, Publish, {{amqp_msg, Properties, <<"event">>}}) || _ <- [1, 2]],
        spawn(fun() ->
            {{ok, Held}} = amqp_connection:start(Direct),
            {{ok, Other}} = amqp_connection:open_channel(Held),
            timer:sleep(200),
            {{{{'basic.get_ok', Tag, _, _, _, _}}, _}} = amqp_channel:call(Other, {{'basic.get', 0, <<"{QUEUE}">>, false}}),
            timer:sleep(30000),
            amqp_channel:call(Other, {{'basic.ack', Tag, false}}),
            amqp_connection:close(Held)
        end),
        """,  # noqa: E501 - one expression of Erlang's
    )
    try:
        async with asyncio.timeout(28), httpx.AsyncClient(base_url=url) as http:
            while True:
                queue = (await http.get(f"/api/queues/%2F/{QUEUE}")).json()
                counted = await at_rabbitmq(url, QUEUE, "audit-order-events")
                if queue.get("messages_unacknowledged") == 1 and counted == {"cludale_broker_waiting": 2}:
                    break
                await asyncio.sleep(0.3)
        assert await at_rabbitmq(url, "audit-order-events") == {"cludale_broker_waiting": 0}
        assert await at_rabbitmq(url, "none-of-these") == {}
        for wrong in (url.replace("cludale:", "cludale:x"), f"{url}/nothing", "http://127.0.0.1:9"):
            assert await at_rabbitmq(wrong, QUEUE) == {}
        assert "does not let this process in: see CLUDALE_RABBITMQ_MONITOR_URL" in caplog.text
        assert url.partition("@")[0] not in caplog.text
    finally:
        async with httpx.AsyncClient(base_url=url) as http:
            await http.delete(f"/api/queues/%2F/{QUEUE}/contents")
