"""What becomes of concerts: changed, moved, called off."""

from contextlib import ExitStack
from datetime import datetime
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.services.concerts import domain as concerts_domain
from cludale.services.concerts.changes import domain as changes
from cludale.services.concerts.evolution import Seating
from cludale.services.orders import domain as orders_domain
from cludale.services.orders.jobs import domain as jobs
from cludale.services.orders.order import Order
from cludale_proof.planted.planting import bug, swap


@bug("changes: seats are taken from a section that are sold or held", theme="changes")
def _(stack: ExitStack) -> None:
    right = changes.change_section

    def wrong(seating: Seating, wanted: Any, now: datetime) -> Decision[Seating]:
        section = seating.section
        decision = right(Seating(replace(section, sold=0, held={}), seating.reservations), wanted, now)
        after = replace(decision.state.section, sold=section.sold, held=section.held)
        return replace(decision, state=Seating(after, decision.state.reservations))

    swap(stack, changes, "change_section", wrong)


@bug("changes: seats are held at the first price, whatever they cost by now", theme="changes")
def _(stack: ExitStack) -> None:
    right = concerts_domain.hold

    def wrong(seating: Seating, request: Any, now: datetime) -> Decision[Seating]:
        decision = right(seating, request, now)
        return replace(decision, events=tuple(replace(event, price=UNSET) for event in decision.events))

    swap(stack, concerts_domain, "hold", wrong)


@bug("called off: its sections go on giving seats away", theme="changes")
def _(stack: ExitStack) -> None:
    swap(stack, changes, "close", Decision)


@bug("called off: orders that are paid stay so", theme="changes")
def _(stack: ExitStack) -> None:
    right = jobs.call_off

    def wrong(order: Order, note: str) -> Decision[Order]:
        return Decision(order) if order.status == "Paid" else right(order, note)

    swap(stack, jobs, "call_off", wrong)


@bug("moved: a buyer is told each time that somebody looks", theme="changes")
def _(stack: ExitStack) -> None:
    swap(stack, orders_domain, "after_moved", lambda order, moved: order)
