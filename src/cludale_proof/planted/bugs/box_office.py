"""What is sold at the box office."""

from contextlib import ExitStack
from typing import Any

from msgspec.structs import replace

from cludale.services.concerts.prices import domain as pricing
from cludale.services.orders.order import Channel
from cludale.services.orders.reports import columns, sales, tills
from cludale.services.payments import refunds as payments_refunds
from cludale.services.payments.payment import Payment
from cludale_proof.planted.planting import bug, swap


@bug("box office: the provider is asked for money that is in the till", theme="box office")
def _(stack: ExitStack) -> None:
    swap(stack, Payment, "asks_provider", property(lambda self: not self.is_free))


@bug("box office: complimentary tickets are priced as all others", theme="box office")
def _(stack: ExitStack) -> None:
    right = pricing.bill
    swap(stack, pricing, "bill", lambda terms, *rest: right(replace(terms, complimentary=False), *rest))


@bug("box office: what goes back is booked on who sold it, whoever gives it back", theme="box office")
def _(stack: ExitStack) -> None:
    right = payments_refunds.refund

    def wrong(payment: Any, **kwargs: Any) -> Any:
        return right(payment, **{**kwargs, "back_by": None})

    swap(stack, payments_refunds, "refund", wrong)


@bug("reports: what is given back in part at the box office is still in the till", theme="box office")
def _(stack: ExitStack) -> None:
    right = tills.moves
    swap(stack, tills, "moves", lambda order: right(replace(order, refunds=())))


@bug("reports: what is sold at the box office is said to be sold online", theme="box office")
def _(stack: ExitStack) -> None:
    for module in (sales, columns):
        swap(stack, module, "channel", lambda order: Channel.ONLINE)
