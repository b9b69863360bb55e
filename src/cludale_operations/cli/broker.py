"""`cludale broker`: set a broker up before the first event, so that none is lost for want of a subscriber."""

import asyncio
from typing import Annotated

import typer

from cludale_operations.cli.screen import fail, print_json, say

app = typer.Typer(no_args_is_help=True, help="Set up the broker that carries events between services.")


@app.command()
def streams(
    url: Annotated[
        str, typer.Argument(envvar="BROKER_URL", help="nats://user:password@host:4222, or the variable BROKER_URL")
    ],
) -> None:
    """Make the JetStream streams and all consumers on a NATS server, or bring them to what they should be."""
    from cludale.services import NAMES
    from cludale_operations.local.jetstream import BrokerRefused, ensure_streams, streams_of

    if not url.startswith("nats://"):
        fail("expected nats://user:password@host:4222; RabbitMQ takes what `cludale broker definitions` prints")
    try:
        asyncio.run(ensure_streams(url, NAMES))
    except (TimeoutError, BrokerRefused, ValueError) as error:
        fail(f"the NATS server can't be set up: {error!r}")
    say(", ".join(stream["name"] for stream in streams_of(NAMES)))


@app.command()
def definitions(
    password: Annotated[str, typer.Option(envvar="BROKER_PASSWORD", prompt=True, hide_input=True, help="Of its user.")],
) -> None:
    """Print RabbitMQ's definitions (`load_definitions`): the user `cludale`, all exchanges, queues and bindings."""
    from cludale.services import NAMES
    from cludale_operations.local.logins import Login
    from cludale_operations.local.rabbitmq import USER, definitions_for

    print_json(definitions_for(NAMES, owners=[Login(USER, password)]))
