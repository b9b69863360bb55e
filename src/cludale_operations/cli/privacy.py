"""`cludale privacy`: what is kept of a buyer, and its erasure. For who answers for personal data."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cludale_operations.cli.client import OWN, PAGE, Client, Json, Server
from cludale_operations.cli.screen import NO, fail, print_json, say, table

app = typer.Typer(no_args_is_help=True, help="What is kept of a buyer: export it, erase it.")

UserId = Annotated[str | None, typer.Option("--user", help="The buyer's userId.")]
Email = Annotated[str | None, typer.Option("--email", help="The e-mail address that the buyer left.")]

AT_ONCE = 50
"""Orders erased by one request."""


@app.command()
def export(
    *,
    user: UserId = None,
    email: Email = None,
    client: Server = OWN,
) -> None:
    """Print all that is kept of a buyer, as JSON: orders with the address left there, payments, messages, the log.

    Wants a key with `privacy` and `read`. `cludale privacy export --email buyer@example.org > buyer.json`
    """
    whose = _whose(user, email)
    orders = list(_pages(client, "/orders/-/buyers/export", whose))
    for order in orders:
        asked = {"orderId": order["orderId"]}
        order["payments"] = list(client.items("/payments", asked, limit=PAGE))
        order["notifications"] = list(client.items("/notifications", asked, limit=PAGE))
        story = client.get_if_there(f"/audit/orders/{order['orderId']}")
        order["log"] = [] if story is None else story["items"]
    print_json({"orders": orders})


@app.command()
def erase(
    *,
    user: UserId = None,
    email: Email = None,
    again: Annotated[
        Path | None,
        typer.Option("--again", help="A file that `cludale privacy erasures` wrote: erase those orders' buyers again."),
    ] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Erase what a buyer left: the key under which it is kept is dropped. It can't be taken back.

    Orders, payments and the log stay, with the `userId`; tickets stay valid; what is still to be told goes to nobody.
    With `--again`, after a restore: what had been erased since the backup was made. Exit status 1: there is nobody.
    """
    if again is not None:
        if user is not None or email is not None:
            fail("--again names the orders itself: leave --user and --email out")
        ids = _ids(again)
        parts = [ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)]
        found: list[dict[str, Any]] = []
        for part in parts:
            found += _pages(client, "/orders/-/buyers/erase", {"orderIds": part})
            say(f"{min(len(ids), len(found))} of {len(ids)} orders")
    else:
        found = list(_pages(client, "/orders/-/buyers/erase", _whose(user, email)))
    table(found, columns=("orderId", "concertId", "erasedAt", "reason"), as_json=json)
    if not found:
        fail("there is no such order, or it is of another organizer's concert", NO)


@app.command()
def erasures(*, client: Server = OWN) -> None:
    """Print the ids of all orders whose buyers were erased, one a line: keep it apart from the backups.

    It names no buyer. After a restore, `cludale privacy erase --again FILE` does again what the backup did not know.
    Wants a key with `read`.
    """
    for event in client.items("/audit/events", {"type": "ContactErased"}, limit=100_000_000):
        typer.echo(event["payload"]["orderId"])


def _whose(user: str | None, email: str | None) -> Mapping[str, Any]:
    if (user is None) is (email is None):
        fail("name the buyer: --user or --email")
    return {"userId": user} if email is None else {"email": email}


def _pages(client: Client, path: str, whose: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The items of every page."""
    after: str | None = None
    while True:
        page = client.post(path, {**whose, "after": after, "limit": AT_ONCE})
        yield from page["items"]
        after = page["next"]
        if after is None:
            return


def _ids(file: Path) -> list[str]:
    try:
        return list(dict.fromkeys(file.read_text(encoding="ascii").split()))
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error}")
