"""NATS and RabbitMQ, as they are set up here, never give an event up: there are no dead letters of the broker's own.

Azure Service Bus puts a dead letter that is not taken aside after 2,000 deliveries (infra/modules/serviceBus.bicep).
These keep it where it is and deliver it once more, so `cludale deadletters` has nothing to read there.
"""

from nats.aio.msg import Msg
from tests.patience import until
from tests.within_rabbitmq import within_rabbitmq

from cludale.adapters.dapr.probing import PROBES
from cludale.services import NAMES
from cludale_operations.local.jetstream import jetstream, streams_of
from cludale_operations.local.nats import Nats
from cludale_operations.local.rabbitmq import RabbitMq, definitions_for

SERVICE_BUS_DELIVERIES = 2_000
DEAD = "orders-dead-letters"


async def test_nats_delivers_an_event_more_often_than_service_bus_would(nats: Nats) -> None:
    deliveries = 0

    async def refuse(message: Msg) -> None:
        nonlocal deliveries
        deliveries = message.metadata.num_delivered
        await (message.ack() if deliveries > SERVICE_BUS_DELIVERIES else message.nak())

    async with jetstream(nats.url) as broker:
        consumer = await broker.consumer_info(DEAD, DEAD)
        await broker.subscribe_bind(DEAD, consumer.config, DEAD, cb=refuse, manual_ack=True)
        await broker.publish(DEAD, b'{"id": "event-1"}')
        await until(lambda: deliveries > SERVICE_BUS_DELIVERIES, seconds=60)


async def test_nats_has_no_limit_after_which_an_event_is_put_aside_or_gone(nats: Nats) -> None:
    async with jetstream(nats.url) as broker:
        for stream in streams_of(NAMES):
            assert not (await broker.stream_info(stream["name"])).config.max_age, stream["name"]
            for consumer in await broker.consumers_info(stream["name"]):
                assert consumer.config.max_deliver == -1, consumer.name


async def test_rabbitmq_delivers_an_event_more_often_than_service_bus_would(rabbitmq_server: RabbitMq) -> None:
    await within_rabbitmq(
        rabbitmq_server,
        f"""
        Queue = <<"orders-{DEAD}">>,
        Publish = {{'basic.publish', 0, <<"{DEAD}">>, <<>>, false, false}},
        amqp_channel:call(Channel, Publish, {{amqp_msg, Properties, <<"event-1">>}}),
        Take = fun Take(0) -> empty;
                   Take(Tries) ->
                       case amqp_channel:call(Channel, {{'basic.get', 0, Queue, false}}) of
                           {{{{'basic.get_ok', Tag, _, _, _, _}}, {{amqp_msg, _, <<"event-1">>}}}} -> Tag;
                           {{'basic.get_empty', _}} -> timer:sleep(20), Take(Tries - 1)
                       end
               end,
        Refuse = fun(_) -> amqp_channel:cast(Channel, {{'basic.reject', Take(100), true}}) end,
        lists:foreach(Refuse, lists:seq(1, {SERVICE_BUS_DELIVERIES})),
        Tag = Take(100),
        true = is_integer(Tag),
        amqp_channel:call(Channel, {{'basic.ack', Tag, false}}),
        """,
    )


def test_rabbitmq_has_no_queue_that_puts_an_event_aside() -> None:
    made = definitions_for(NAMES, owners=[])
    assert "policies" not in made
    for queue in made["queues"]:
        limits = queue["arguments"].keys() - {"x-queue-type"}
        assert limits == ({"x-max-length"} if queue["name"] == PROBES else set()), queue["name"]
        assert queue["arguments"]["x-queue-type"] == "classic", "quorum queues may have a limit of deliveries"
