"""`cludale blocks`: hold seats back for sponsors and others, and let them go."""

from typing import Annotated, Any

import typer

from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.screen import fail, record, table

app = typer.Typer(no_args_is_help=True, help="Hold seats back for sponsors and others, list them, let them go.")

Concert = Annotated[str, typer.Argument(help="The concert's id.")]
Block = Annotated[str, typer.Argument(help="The block's id, as the list has it.")]
_COLUMNS = ("id", "section", "purpose", "seats", "sold", "left", "endsAt", "fewLeft", "releasedAt", "releasedFor")
_NOTHING = "none"


@app.command()
def add(
    concert: Concert,
    seats: Annotated[int, typer.Argument(min=1, help="How many seats.")],
    *,
    purpose: Annotated[str, typer.Option(help="What for. The log keeps it: no names of people.")],
    section: Annotated[str | None, typer.Option(help="Where. Needed where the concert has several sections.")] = None,
    ends_at: Annotated[str | None, typer.Option(help="Until when: a time, or a day.")] = None,
    hours_before: Annotated[float | None, typer.Option(min=0, help="Until so long before it begins.")] = None,
    few_left: Annotated[int | None, typer.Option(min=1, help="Sooner, once fewer seats than these are left.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: given twice, it is one block.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Hold seats back: nobody gets them but out of the block.

    `cludale blocks add concert-1 40 --purpose "Sponsors" --hours-before 48 --few-left 20`
    """
    body = {
        "section": section,
        "seats": seats,
        "purpose": purpose,
        "endsAt": ends_at,
        "hoursBefore": hours_before,
        "fewLeft": few_left,
    }
    record(client.post(f"/concerts/{segment(concert)}/blocks", body, key=key), as_json=json)


@app.command()
def change(
    concert: Concert,
    block: Block,
    *,
    seats: Annotated[int | None, typer.Option(min=1, help="In all, with those that are sold out of it.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What for.")] = None,
    ends_at: Annotated[str | None, typer.Option(help="Until when.")] = None,
    hours_before: Annotated[float | None, typer.Option(min=0, help="Until so long before it begins.")] = None,
    few_left: Annotated[str | None, typer.Option(help="Sooner, once so few are left; `none`: without that.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Give a block more or fewer seats, or another end."""
    said = {"seats": seats, "purpose": purpose, "endsAt": ends_at, "hoursBefore": hours_before}
    body: dict[str, Any] = {"block": block, **{name: value for name, value in said.items() if value is not None}}
    if few_left is not None:
        if few_left != _NOTHING and not few_left.isdecimal():
            raise typer.BadParameter(f"{few_left!r} is no number")
        body["fewLeft"] = None if few_left == _NOTHING else int(few_left)
    if len(body) == 1:
        fail("say what to change: --seats, --purpose, --ends-at, --hours-before or --few-left")
    record(client.patch(f"/concerts/{segment(concert)}/blocks", body), as_json=json)


@app.command()
def release(concert: Concert, block: Block, *, client: Server = OWN, json: Json = False) -> None:
    """Let a block's seats go: everybody can have those that are left."""
    record(client.post(f"/concerts/{segment(concert)}/blocks/release", {"block": block}), as_json=json)


@app.command("list")
def list_blocks(
    concert: Concert,
    *,
    section: Annotated[str | None, typer.Option(help="Only of this section.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 200,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List a concert's blocks, with those that were let go."""
    found = list(client.items(f"/concerts/{segment(concert)}/blocks", {"section": section}, limit=limit))
    table(found, columns=_COLUMNS, as_json=json)
