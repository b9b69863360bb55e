"""`cludale keys`: who may do what: make keys, list them, end them, put new ones in their place."""

from typing import Annotated

import typer

from cludale.kernel.principals import DEFAULT_ORGANIZER, Scope
from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.screen import print_json, record, say, table

app = typer.Typer(no_args_is_help=True, help="Keys: make them, list them, end them, put new ones in their place.")

Id = Annotated[str, typer.Argument(help="The key's id, which is what it begins with: not the key.")]

_SCOPES = ", ".join(Scope)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is called: who or what has it.")],
    scopes: Annotated[list[Scope], typer.Option("--scope", help=f"What it opens; give one for each: {_SCOPES}.")],
    *,
    organizer: Annotated[str, typer.Option(help="Whose concerts it is for.")] = DEFAULT_ORGANIZER,
    concert: Annotated[str | None, typer.Option(help="The one concert that it is for.")] = None,
    ends_at: Annotated[str | None, typer.Option(help="Until when it is good: 2027-06-06T00:00:00Z.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Make a key. It is shown once: nobody keeps it.

    `cludale keys create "box office" --scope sell --scope read --organizer acme`
    """
    body = {
        "name": name,
        "scopes": [scope.value for scope in scopes],
        "organizer": organizer,
        "concertId": concert,
        "endsAt": ends_at,
    }
    record(client.post("/concerts/-/keys", body), as_json=json)


@app.command()
def pair(
    name: Annotated[str, typer.Argument(help='What the device is called: "north door, phone 2".')],
    concert: Annotated[str, typer.Option(help="The concert that it lets people into.")],
    *,
    minutes: Annotated[float, typer.Option(min=0.5, max=60, help="For how long the code is good.")] = 10,
    ends_at: Annotated[str | None, typer.Option(help="Until when the device's key is good.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Make a code that a door device swaps, once, for a key of its own.

    `cludale keys pair "north door, phone 2" --concert concert-1`
    """
    body = {"name": name, "concertId": concert, "seconds": minutes * 60, "keyEndsAt": ends_at}
    record(client.post("/concerts/-/door/codes", body), as_json=json)


@app.command("list")
def list_keys(
    *,
    organizer: Annotated[str | None, typer.Option(help="Only this organizer's.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List keys, the newest first: what each opens, until when, and when it was used last."""
    found = client.get("/concerts/-/keys", {"organizer": organizer})["items"]
    if json:
        print_json(found)
        return
    for each in found:
        each["scopes"] = ", ".join(each["scopes"])
    table(
        found,
        columns=("id", "name", "organizer", "concertId", "scopes", "endsAt", "lastUsedAt"),
        wide=("name",),
        as_json=False,
    )
    if not found:
        say("There is the organizer key alone. Make others with `cludale keys create`.")


@app.command()
def revoke(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """End a key: within a second it opens nothing."""
    record(client.post(f"/concerts/-/keys/{segment(id)}/revoke", None), as_json=json)


@app.command()
def rotate(
    id: Id,
    *,
    overlap: Annotated[float, typer.Option(min=0, help="Seconds for which the old one is good, too.")] = 0,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Make a key for the same things in the place of another, which ends now, or once an overlap is over."""
    record(client.post(f"/concerts/-/keys/{segment(id)}/rotate", {"overlapSeconds": overlap}), as_json=json)
