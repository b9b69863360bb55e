"""`cludale staff`: who has signed in, and signing them out."""

from typing import Annotated

import typer

from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.screen import print_json, record, say, table

app = typer.Typer(no_args_is_help=True, help="Staff: who has signed in, with which roles; sign somebody out.")


@app.command("list")
def list_staff(*, client: Server = OWN, json: Json = False) -> None:
    """List who has signed in within 90 days, who did so last first."""
    found = client.get("/concerts/-/staff")["items"]
    if json:
        print_json(found)
        return
    for each in found:
        each["scopes"], each["roles"] = (", ".join(each[name]) for name in ("scopes", "roles"))
    table(
        found,
        columns=("id", "name", "organizer", "concertId", "roles", "scopes", "lastAt", "sessions"),
        wide=("name",),
        as_json=False,
    )
    if not found:
        say("Nobody has signed in.")


@app.command()
def end(
    id: Annotated[str, typer.Argument(help="Whose sessions: the id that `cludale staff list` shows.")],
    *,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Sign somebody out everywhere: within a second their sessions open nothing.

    Who still has their role, or their key, may sign in again: take that away first.
    """
    record(client.post(f"/concerts/-/staff/{segment(id)}/end", None), as_json=json)
