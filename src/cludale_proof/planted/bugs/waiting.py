"""Waiting lists."""

from contextlib import ExitStack
from datetime import datetime
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.services.concerts import domain as concerts_domain
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.domain import Hold
from cludale.services.concerts.events import SeatsOffered
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.waiting import domain as waiting
from cludale.services.concerts.waiting.domain import (
    Grant,
    Join,
    ListCommand,
    ListedSection,
    MakeOffers,
    WaitingEntry,
    WaitingList,
)
from cludale.services.concerts.waiting.service import WaitingClaims
from cludale_proof.planted.planting import bug, swap


@bug("waiting list: the last who came is served first", theme="waiting list")
def _(stack: ExitStack) -> None:
    right = waiting.decide

    def wrong(line: ListedSection, command: ListCommand, now: datetime) -> Any:
        if isinstance(command, MakeOffers):
            last_first = tuple(reversed(line.waiting.entries))
            line = ListedSection(line.seating, replace(line.waiting, entries=last_first))
        return right(line, command, now)

    swap(stack, waiting, "decide", wrong)


@bug("waiting list: who was offered seats stays on the list", theme="waiting list")
def _(stack: ExitStack) -> None:
    right = waiting.evolve

    def wrong(known: WaitingList, event: Any, **more: Any) -> WaitingList:
        return known if isinstance(event, SeatsOffered) else right(known, event, **more)

    swap(stack, waiting, "evolve", wrong)


@bug("waiting list: who does not wait takes what the list is owed", theme="waiting list")
def _(stack: ExitStack) -> None:
    right = concerts_domain.hold

    def wrong(seating: Seating, request: Hold, now: datetime) -> Decision[Seating]:
        return right(seating, replace(request, waited=request.waited or 0), now)

    swap(stack, concerts_domain, "hold", wrong)


@bug("waiting list: an offer counts for nobody's limit", theme="waiting list")
def _(stack: ExitStack) -> None:
    right = WaitingClaims.grant

    async def wrong(claims: WaitingClaims, concert: Concert, entry: WaitingEntry, offer_seconds: float) -> Grant:
        if entry.code is not None or concert.max_per_buyer is UNSET:
            return await right(claims, concert, entry, offer_seconds)
        return Grant(buyers=entry.buyers)

    swap(stack, WaitingClaims, "grant", wrong)


@bug("waiting list: who left before it joined joins after all", theme="slow payments + waiting list")
def _(stack: ExitStack) -> None:
    right = waiting.decide

    def wrong(line: ListedSection, command: ListCommand, now: datetime) -> Any:
        if not isinstance(command, Join):
            return right(line, command, now)
        after, told = right(ListedSection(line.seating, replace(line.waiting, left=())), command, now)
        kept = replace(after.waiting, left=line.waiting.left)
        return (ListedSection(after.seating, kept), told) if told else (line, ())

    swap(stack, waiting, "decide", wrong)
