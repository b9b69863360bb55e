"""`cludale up`: the distributed shape on this machine, in the foreground; `cludale up status`, `cludale up restart`."""

import asyncio
import json as json_
import os
import signal
import socket
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cludale import __version__
from cludale.wiring.settings import Settings
from cludale_operations.cli.client import Json
from cludale_operations.cli.screen import CANNOT, fail, say, table

if TYPE_CHECKING:
    from cludale_operations.local.deployment import Deployment
    from cludale_operations.local.up import Up

app = typer.Typer(help="Run each service in its own processes, on this machine.")

RESTART_SECONDS = 600


class BrokerName(StrEnum):
    """Which broker is between the services."""

    NATS = "nats"
    RABBITMQ = "rabbitmq"


@app.callback(invoke_without_command=True)
def up(
    context: typer.Context,
    *,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Each service in processes of its own, with Dapr sidecars.")
    ] = False,
    replicas: Annotated[
        list[str] | None,
        typer.Option("--replicas", help="How many processes of a service: `concerts=2`, or `all=2`; may be repeated."),
    ] = None,
    broker: Annotated[BrokerName, typer.Option(help="What carries events between services.")] = BrokerName.NATS,
) -> None:
    """Start PostgreSQL, a broker, all services with their sidecars and the gateway, until Ctrl+C or SIGTERM.

    All of it on loopback, the gateway on CLUDALE_HOST and CLUDALE_PORT. The settings mean what they mean to
    `cludale serve`; everything is kept in CLUDALE_DATA_DIR, and goes on where the last start stopped. Without
    `--distributed` this is `cludale serve`.
    """
    if context.invoked_subcommand is not None:
        return
    if not distributed:
        if replicas or broker is not BrokerName.NATS:
            fail("--replicas and --broker are for `cludale up --distributed`")
        from cludale_operations.cli.serve import serve

        serve(None)
        return
    from cludale.adapters.system.keys import UnusableKey
    from cludale_operations.local.daprd import Broker
    from cludale_operations.local.deployment import Deployment, NotDistributed, UnusableReplicas, replicas_from
    from cludale_operations.local.find import MissingProgram
    from cludale_operations.local.part import PartFailed
    from cludale_operations.local.tether import NoOtherUser
    from cludale_operations.local.up import AlreadyUp

    settings = Settings.from_env(os.environ)
    try:
        deployment = Deployment(settings, broker=Broker(broker), replicas=replicas_from(replicas or []))
        status = asyncio.run(_run(deployment))
    except (NotDistributed, UnusableReplicas, UnusableKey, MissingProgram, PartFailed, AlreadyUp, NoOtherUser) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or settings.data_dir}: {error.strerror or error}")
    raise SystemExit(status)


async def _run(deployment: "Deployment") -> int:
    from cludale_operations.cli.up_screen import Screen
    from cludale_operations.local.up import Up

    loop = asyncio.get_running_loop()
    told, insisted = asyncio.Event(), asyncio.Event()

    def heard() -> None:
        (insisted if told.is_set() else told).set()

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, heard)
    screen = Screen()
    running = Up(deployment, screen.say)
    with screen.showing(running):
        try:
            if await _unless(told, running.start()):
                _greet(running)
                looking = asyncio.ensure_future(running.look())
                async with await running.serve_control():
                    await told.wait()
                looking.cancel()
            screen.say("stopping; press again to end everything at once")
        finally:
            stopped = await _unless(insisted, running.stop())
            if not stopped:
                await running.kill()
    return 0 if stopped else CANNOT


async def _unless(event: asyncio.Event, work: Any) -> bool:
    """Do it, unless the event comes before it is done: then it is given up. Was it done? Raises what it raises."""
    doing = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait([doing, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if doing.done():
        doing.result()
        return True
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    return False


def _greet(running: "Up") -> None:
    layout = running.deployment
    counts: dict[str, int] = {}
    for replica in layout.replicas:
        counts[replica.service.service] = counts.get(replica.service.service, 0) + 1
    names = ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in counts.items())  # noqa: RUF001
    key = "in CLUDALE_ORGANIZER_KEY" if layout.settings.organizer_key else layout.folder / "organizer.key"
    say(f"The shop: {running.address}/shop")
    say(f"Cludale Tickets {__version__} on {running.address} ({names}; over {layout.broker_kind})")
    say(f"  data           {layout.folder}")
    say(f"  organizer key  {key}")
    say(f"  logs           {layout.logs}")
    say(f"  documentation  {running.address}/docs")


@app.command()
def status(*, json: Json = False) -> None:
    """Show what runs where."""
    state = _state()
    rows = [
        {
            "part": each["name"],
            "state": each["state"],
            "pid": each["pid"],
            "port": each["port"],
            "restarts": each["restarts"],
            "log": each["log"],
        }
        for each in state["parts"]
    ]
    columns = ("part", "state", "pid", "port", "restarts", "log")
    table(rows, columns=columns, as_json=json, wide=("log",), marked=lambda row: row["state"] != "ready")


@app.command()
def restart(
    parts: Annotated[
        list[str], typer.Argument(help="A service, a single part as `status` names it, or `all` services.")
    ],
) -> None:
    """Restart parts while everything runs: a service's processes one after the other, each ready before the next."""
    for part in parts:
        ask_up({"restart": part}, part)


def ask_up(order: dict[str, object], name: str) -> None:
    """Have the `cludale up` of this data folder do it, and say what it says."""
    control = _state()["control"]
    try:
        with socket.create_connection(("127.0.0.1", control["port"]), timeout=RESTART_SECONDS) as connection:
            connection.sendall(json_.dumps({"token": control["token"], **order}).encode() + b"\n")
            with connection.makefile() as lines:
                _follow(name, (json_.loads(line) for line in lines))
    except OSError as error:
        fail(f"the `cludale up` of this data folder does not answer: {error}")


def _follow(part: str, messages: Iterator[dict[str, str]]) -> None:
    for message in messages:
        if "said" in message:
            say(message["said"])
        elif "refused" in message:
            fail(message["refused"])
        else:
            return
    fail(f"{part}: the connection was closed")


def _state() -> dict[str, Any]:
    file = Settings.from_env(os.environ).data_dir / "up.json"
    try:
        state: dict[str, Any] = json_.loads(file.read_text())
    except FileNotFoundError:
        fail(f"no `cludale up` runs over {Path(file).parent} (CLUDALE_DATA_DIR)")
    except (OSError, ValueError) as error:
        fail(f"{file}: {error}")
    return state
