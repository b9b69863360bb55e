"""`cludale concerts move` and `swap`: other numbered seats for a buyer, and two buyers who swap."""

from typing import Annotated, Any

import typer

from cludale_operations.cli.client import OWN, Client, Json, Server, segment
from cludale_operations.cli.screen import table

Concert = Annotated[str, typer.Argument(help="The concert's id.")]
Order = Annotated[str, typer.Argument(help="The order's id.")]
Seats = Annotated[list[str] | None, typer.Option("--seat", help="One of its seats, by its id; without any, all.")]
Reason = Annotated[str, typer.Option(help="Why. The buyer reads it, and the log keeps it: no names.")]
Admitted = Annotated[
    bool, typer.Option("--even-if-admitted", help="Also seats with whose tickets somebody was let in already.")
]
Key = Annotated[str | None, typer.Option(help="Idempotency-Key: given twice, it happens once.")]
_COLUMNS = ("orderId", "section", "seats")


def move(
    concert: Concert,
    order: Order,
    *,
    reason: Reason,
    seat: Seats = None,
    to: Annotated[
        list[str] | None, typer.Option(help="A new seat, by its id; one for each. Without any, the best.")
    ] = None,
    even_if_admitted: Admitted = False,
    key: Key = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Move an order to other seats of its section. Its tickets get new codes, and who has paid is told.

    `cludale concerts move concert-1 order-1 --seat Stalls-A-1 --to Stalls-C-4 --reason "The sound desk"`
    """
    body: dict[str, Any] = {"order": order, "reason": reason, "evenIfAdmitted": even_if_admitted}
    body |= {name: ids for name, ids in (("seats", seat), ("to", to)) if ids}
    _ask(concert, "move", body, key=key, client=client, json=json)


def swap(
    concert: Concert,
    order: Order,
    other: Annotated[str, typer.Argument(help="The other order's id.")],
    *,
    reason: Reason,
    seat: Seats = None,
    their_seat: Annotated[list[str] | None, typer.Option(help="One of the other order's; without any, all.")] = None,
    even_if_admitted: Admitted = False,
    key: Key = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Have two orders swap seats of one section: as many of one as of the other; both do, or neither does.

    `cludale concerts swap concert-1 order-1 order-2 --reason "As they asked"`
    """
    first: dict[str, Any] = {"order": order} | ({"seats": seat} if seat else {})
    second: dict[str, Any] = {"order": other} | ({"seats": their_seat} if their_seat else {})
    body = {"first": first, "second": second, "reason": reason, "evenIfAdmitted": even_if_admitted}
    _ask(concert, "swap", body, key=key, client=client, json=json)


def _ask(concert: str, what: str, body: dict[str, Any], *, key: str | None, client: Client, json: bool) -> None:
    answer = client.post(f"/concerts/{segment(concert)}/seats/{what}", body, key=key)
    orders = answer["orders"]
    if not json:
        orders = [each | {"seats": "; ".join(f"{s['row']} {s['number']}" for s in each["seats"])} for each in orders]
    table(orders, columns=_COLUMNS, as_json=json)
