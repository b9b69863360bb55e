"""Within RabbitMQ, with its own client: none of the packages here speaks AMQP 0-9-1."""

from cludale_operations.local.rabbitmq import RabbitMq


async def within_rabbitmq(broker: RabbitMq, erlang: str) -> None:
    """Have the broker evaluate these expressions, which end with a comma.

    They have `Direct`, how one connects; `Channel`, which is open; and `Properties`, of a message that is kept on disk.
    """
    await broker.control(
        "eval",
        f"""
        Direct = {{amqp_params_direct, <<"cludale">>, none, <<"/">>, node(), none, []}},
        {{ok, Connection}} = amqp_connection:start(Direct),
        {{ok, Channel}} = amqp_connection:open_channel(Connection),
        Properties = {{'P_basic', undefined, undefined, undefined, 2, undefined, undefined, undefined, undefined,
                      undefined, undefined, undefined, undefined, undefined, undefined}},
        {erlang}
        amqp_connection:close(Connection).
        """,
    )
