"""How many events wait at a real NATS server for a service, as its monitoring says."""

from cludale.adapters.nats_monitor.backlog import NatsBacklog
from cludale_operations.local.jetstream import consumers_of, jetstream
from cludale_operations.local.nats import Nats


async def said(url: str, *consumers: str) -> dict[str, float]:
    backlog = NatsBacklog(url, consumers)
    await backlog.look()
    await backlog.stop()
    return dict(backlog.gauges())


async def test_what_waits_for_a_service_is_counted_over_its_consumers(nats: Nats) -> None:
    audit, orders = ([each.name for each in consumers_of(service)] for service in ("audit", "orders"))
    assert await said(nats.monitoring_url, *audit) == {"cludale_broker_waiting": 0}
    async with jetstream(nats.url) as broker:
        for topic in ("order-events", "order-events", "concert-events", "audit-dead-letters"):
            await broker.publish(topic, b"{}")
        # One is delivered and not answered: it waits still.
        consumer = await broker.subscribe(
            "order-events", durable="audit-order-events", queue="audit-order-events", stream="cludale", manual_ack=True
        )
        await consumer.next_msg(timeout=5)
        assert await said(nats.monitoring_url, *audit) == {"cludale_broker_waiting": 4}
        await consumer.unsubscribe()
    assert await said(nats.monitoring_url, *orders) == {"cludale_broker_waiting": 1}
    assert await said(nats.monitoring_url, "none-of-these") == {}
    assert await said(f"{nats.monitoring_url}/nothing", *audit) == {}
    assert await said("http://127.0.0.1:9", *audit) == {}
