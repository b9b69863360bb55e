"""`cludale notifications`: what buyers were told: look, and send again what was given up."""

from typing import Annotated

import typer

from cludale_operations.cli import bounces, templates
from cludale_operations.cli.client import OWN, Json, Server
from cludale_operations.cli.screen import fail, print_json, record, say, table

app = typer.Typer(
    no_args_is_help=True, help="Messages to buyers: list them, send failed ones again, say them in your own words."
)
app.add_typer(templates.app, name="templates")
app.command()(bounces.bounce)

RETRY_AT_ONCE = 50
MOST = 10_000_000

_COLUMNS = ("id", "orderId", "kind", "channel", "status", "sentAt", "attempts", "detail")


@app.command("list")
def list_notifications(
    *,
    status: Annotated[str | None, typer.Option(help="Only these: Pending, Sent, Logged, Failed or Bounced.")] = None,
    order: Annotated[str | None, typer.Option(help="Only of this order.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 50,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List them. `--status Failed` lists those that were given up."""
    wanted = {"status": None if status is None else status.capitalize(), "orderId": order}
    found = list(client.items("/notifications", wanted, limit=limit))
    table(found, columns=_COLUMNS, wide=("detail",), as_json=json)


@app.command()
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of notifications.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that failed.")] = False,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Send those again that were given up or came back, and try them for as long as new ones.

    `--all` are those that were given up. One that was sent, and did not come back, is refused.
    """
    if bool(ids) == everything:
        fail("name the notifications to send again, or --all of them")
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


@app.command()
def language(
    code: Annotated[str | None, typer.Argument(help="en, de, fr or es. Left out: say which it is.")] = None,
    *,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """The language of messages to buyers of whom it isn't known which they read."""
    path = "/notifications/settings"
    found = client.get(path) if code is None else client.post(path, {"language": code})
    record(found, as_json=json)
