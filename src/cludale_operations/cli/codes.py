"""`cludale codes`: make discount codes, change their limits, and see how often they were used."""

from typing import Annotated, Any

import typer

from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.concerts import price_of
from cludale_operations.cli.screen import fail, record, table

app = typer.Typer(no_args_is_help=True, help="Make discount codes, change their limits, and see their use.")

Concert = Annotated[str, typer.Argument(help="The concert's id.")]
Code = Annotated[str, typer.Argument(help="The code.")]
_NOTHING = "none"


@app.command()
def add(
    concert: Concert,
    code: Annotated[str | None, typer.Argument(help="The code; without it one is made that is hard to guess.")] = None,
    *,
    percent: Annotated[float | None, typer.Option(min=0, max=100, help="So much of each ticket's price.")] = None,
    amount: Annotated[str | None, typer.Option(help="So much for each ticket: 5.00EUR.")] = None,
    unlocks: Annotated[str | None, typer.Option(help="The hidden category that is sold with it.")] = None,
    max_uses: Annotated[int | None, typer.Option(min=1, help="Orders that may use it.")] = None,
    max_tickets: Annotated[int | None, typer.Option(min=1, help="Tickets of all orders that use it.")] = None,
    ends_at: Annotated[str | None, typer.Option(help="Until when it is valid.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Make a code for a concert: with it tickets cost less, or a hidden category is sold.

    `cludale codes add concert-1 SPRING --percent 10 --max-uses 100`
    """
    body = {
        "code": code,
        "percent": percent,
        "amount": None if amount is None else price_of(amount),
        "unlocks": unlocks,
        "maxUses": max_uses,
        "maxTickets": max_tickets,
        "endsAt": ends_at,
    }
    record(client.post(f"/concerts/{segment(concert)}/codes", body), as_json=json)


@app.command()
def change(
    concert: Concert,
    code: Code,
    *,
    max_uses: Annotated[str | None, typer.Option(help="Orders that may use it; `none`: any number.")] = None,
    max_tickets: Annotated[str | None, typer.Option(help="Tickets of all of them; `none`: any number.")] = None,
    ends_at: Annotated[str | None, typer.Option(help="Until when it is valid; `none`: without an end.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Give a code other limits. To end it, give an `--ends-at` that is over."""
    body: dict[str, Any] = {"code": code}
    for name, text in (("maxUses", max_uses), ("maxTickets", max_tickets)):
        if text is not None and text != _NOTHING and not text.isdecimal():
            raise typer.BadParameter(f"{text!r} is no number")
        if text is not None:
            body[name] = None if text == _NOTHING else int(text)
    if ends_at is not None:
        body["endsAt"] = None if ends_at == _NOTHING else ends_at
    if len(body) == 1:
        fail("say what to change: --max-uses, --max-tickets or --ends-at")
    record(client.patch(f"/concerts/{segment(concert)}/codes", body), as_json=json)


@app.command("list")
def list_codes(
    concert: Concert,
    *,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List a concert's codes, and how often they were used."""
    found = list(client.items(f"/concerts/{segment(concert)}/codes", {}, limit=limit))
    table(
        found,
        columns=("code", "percent", "amount", "unlocks", "uses", "maxUses", "tickets", "maxTickets", "endsAt"),
        as_json=json,
    )
