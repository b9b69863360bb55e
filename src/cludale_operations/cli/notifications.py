"""`cludale notifications`: what buyers were told: look, and send again what was given up."""

from typing import Annotated

import typer

from cludale_operations.cli.client import Client, Json, Url
from cludale_operations.cli.screen import fail, print_json, say, table

app = typer.Typer(no_args_is_help=True, help="Messages to buyers: list them, send failed ones again.")

RETRY_AT_ONCE = 50
MOST = 10_000_000

_COLUMNS = ("id", "orderId", "kind", "channel", "status", "sentAt", "attempts", "detail")


@app.command("list")
def list_notifications(
    *,
    status: Annotated[str | None, typer.Option(help="Only these: Pending, Sent, Logged or Failed.")] = None,
    order: Annotated[str | None, typer.Option(help="Only of this order.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List them. `--status Failed` lists those that were given up."""
    with Client(url) as client:
        wanted = {"status": None if status is None else status.capitalize(), "orderId": order}
        found = list(client.items("/notifications", wanted, limit=limit))
    table(found, columns=_COLUMNS, wide=("detail",), as_json=json)


@app.command()
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of notifications.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that failed.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Send those again that were given up, and try them for as long as new ones. One that was sent is refused."""
    if bool(ids) == everything:
        fail("name the notifications to send again, or --all of them")
    with Client(url) as client:
        chosen = ids or [each["id"] for each in client.items("/notifications", {"status": "Failed"}, limit=MOST)]
        retried = [
            each
            for start in range(0, len(chosen), RETRY_AT_ONCE)
            for each in client.post("/notifications/retry", {"ids": chosen[start : start + RETRY_AT_ONCE]})["items"]
        ]
    if json:
        print_json(retried)
    else:
        table(retried, columns=("id", "orderId", "kind", "status"), as_json=False)
        say(f"{len(retried)} are sent again.")
