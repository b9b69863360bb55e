"""`cludale database`: make a PostgreSQL database ready for services that each log in for themselves."""

import asyncio
from typing import Annotated

import typer

from cludale_operations.cli.screen import fail, say

app = typer.Typer(no_args_is_help=True, help="Make a PostgreSQL database ready for the services.")


@app.callback()
def database() -> None:
    """What the database's owner does, and no service."""


@app.command()
def prepare(
    url: Annotated[
        str,
        typer.Argument(
            envvar="CLUDALE_DATABASE_URL",
            show_envvar=False,
            help="postgresql://owner:password@host:5432/cludale, or the variable CLUDALE_DATABASE_URL",
        ),
    ],
) -> None:
    """Make every service's schema as this version wants it, and a role that may use it and nothing else.

    For the owner, before the services of this version start. A service's own user is a member of its role:
    `CREATE ROLE orders LOGIN PASSWORD '…' IN ROLE cludale_orders`. The same again changes nothing.
    """
    from cludale.ports.records import SchemaRefused, StoreUnavailable
    from cludale.wiring.database import NotAllowed, prepare_database
    from cludale.wiring.needs import MissingSetting

    try:
        roles = asyncio.run(prepare_database(url))
    except (MissingSetting, SchemaRefused, StoreUnavailable, NotAllowed) as error:
        fail(str(error))
    for service, role in roles.items():
        say(f"{service}: {role}")
