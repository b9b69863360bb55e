"""What is bought, and for whom: the options of `orders place` and `boxoffice sell`, as the API takes them."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cludale_operations.cli.concerts import counts

Quantity = Annotated[int | None, typer.Option(min=1, help="How many tickets. Default: 1, or as many as seats.")]
Tickets = Annotated[str | None, typer.Option(help="Which, by category: adult=2,child=1.")]
Section = Annotated[str | None, typer.Option(help="Where. Default: the cheapest with room.")]
Seats = Annotated[
    list[str] | None,
    typer.Option("--seat", help="The id of a numbered seat; give one for each. Default: the best together."),
]
Code = Annotated[str | None, typer.Option(help="A discount code.")]
Name = Annotated[str | None, typer.Option(help="The buyer's name.")]
Email = Annotated[str | None, typer.Option(help="Where the tickets are sent, if anywhere.")]
Phone = Annotated[str | None, typer.Option(help="A number that is told.")]


def tickets_of(quantity: int | None, tickets: str | None, seats: Sequence[str] | None) -> dict[str, Any]:
    """How many tickets, of which categories and for which seats, as far as that is said."""
    of = None if tickets is None else counts(tickets)
    named = len(seats) if seats else 1
    body: dict[str, Any] = {"quantity": quantity or (named if of is None else sum(each["quantity"] for each in of))}
    if of is not None:
        body["tickets"] = of
    if seats:
        body["seats"] = seats
    return body
