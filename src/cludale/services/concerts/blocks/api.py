"""Blocks over HTTP: seats that are held back for a purpose, listed, changed and let go."""

import secrets
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.ids import Id, from_key
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid
from cludale.ports.records import Records
from cludale.ports.seats import (
    BlockNotFound,
    BlockTooSmall,
    CalledOff,
    ConcertNotFound,
    SeatsUnavailable,
    SectionNotFound,
)
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.concerts.api import STATUS as CONCERTS_STATUS
from cludale.services.concerts.blocks.service import BlockWish, NewBlock, ShownBlock, page
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import LetGoReason
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.zoned_fields import moment
from cludale.web.fields import LocalDateOrTime, Text
from cludale.web.keyed import Keyed
from cludale.web.problems import Problems, Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import IDEMPOTENCY_KEY, TRACEPARENT, Owned, Reply, Request, asking, route

STATUS: Statuses = {BlockNotFound: 404, BlockTooSmall: 409}

MOST_HOURS = 24.0 * 366

_PURPOSE = "what they are held back for. The log keeps it for good: no names of people"
_ENDS_AT = "until then; a day: until its end, there where the concert is"
_HOURS = "until so many hours before the concert begins, whenever that is; instead of `endsAt`"
_FEW = "they are let go sooner, once fewer seats than these can be had in the section"
_SEATS = "how many seats, with those that are sold out of the block"

BlockSeats = Annotated[int, Meta(ge=1, le=1_000_000, description=_SEATS)]
Hours = Annotated[float, Meta(ge=0, le=MOST_HOURS, description=_HOURS)]
FewLeft = Annotated[int, Meta(ge=1, le=1_000_000, description=_FEW)]
Purpose = Annotated[Text, Meta(description=_PURPOSE)]


class BlockView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A block as it is now."""

    id: str
    section: str
    purpose: str
    seats: Annotated[int, Meta(description=_SEATS)]
    sold: Annotated[int, Meta(description="of them, sold or held out of the block")]
    left: Annotated[int, Meta(description="of them, held back yet")]
    ends_at: datetime
    hours_before: Annotated[float | None, Meta(description=_HOURS)]
    few_left: Annotated[int | None, Meta(description=_FEW)]
    created_at: datetime
    released_at: Annotated[datetime | None, Meta(description="since when everybody can have its seats")]
    released_for: LetGoReason | None
    released: Annotated[int | None, Meta(description="seats that were let go then")]

    @classmethod
    def of(cls, shown: ShownBlock) -> "BlockView":
        """The view of a block."""
        entry, gone = shown.entry, shown.let_go
        return cls(
            id=entry.id,
            section=shown.section,
            purpose=entry.purpose,
            seats=entry.seats,
            sold=shown.drawn,
            left=shown.left,
            ends_at=entry.ends_at,
            hours_before=entry.hours_before,
            few_left=entry.few_left,
            created_at=entry.made_at,
            released_at=None if gone is None else gone.at,
            released_for=None if gone is None else gone.reason,
            released=None if gone is None else gone.seats,
        )


class HoldSeatsBack(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Seats to be held back, until `endsAt` or until `hoursBefore` the concert begins."""

    SHOWN_AS: ClassVar = BlockView

    section: Annotated[Id, Meta(description="may be left out where the concert has one section")] | None = None
    seats: BlockSeats
    purpose: Purpose
    ends_at: Annotated[LocalDateOrTime, Meta(description=_ENDS_AT)] | None = None
    hours_before: Hours | None = None
    few_left: FewLeft | None = None


class ChangeBlockOf(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be another about a block; what is left out stays."""

    block: Id
    seats: BlockSeats | UnsetType = UNSET
    purpose: Purpose | UnsetType = UNSET
    ends_at: Annotated[LocalDateOrTime, Meta(description=_ENDS_AT)] | UnsetType = UNSET
    hours_before: Hours | UnsetType = UNSET
    few_left: FewLeft | UnsetType | None = UNSET


class ReleaseBlock(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Whose seats are let go."""

    block: Id


class FindBlocks(Paged, frozen=True, kw_only=True):
    """Which blocks to list."""

    section: Annotated[Id, Meta(description="only of this section")] | None = None


class BlocksApi:
    """The routes of blocks."""

    def __init__(self, concerts: Concerts, records: Records) -> None:
        self._concerts = concerts
        self._keyed = Keyed(IdempotencyKeys("concerts", records), Problems(STATUS, CONCERTS_STATUS))

    @route(
        "POST",
        "/concerts/{concert_id}/blocks",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Hold seats back",
        description=(
            "For sponsors, the press, the band: nobody gets these seats but out of the block, which box office and "
            "guest list name as `block`. What is not sold out of it can be had by everybody from its end on, or once "
            "so few seats are left beside it. Never more seats than can be had: 409 seats-unavailable."
        ),
        replies={201: Reply(BlockView, "The block.")},
        refusals=(ConcertNotFound, SeatsUnavailable, CalledOff, SectionNotFound, Busy),
    )
    async def hold_seats_back(self, request: Request, body: HoldSeatsBack) -> Response:
        """201 the block; with the same key and body again, the same one."""
        who = asking(request)
        concert = await self._concerts.directory.own(request.segment, who)
        section = body.section
        if section is None and len(concert.sections) > 1:
            raise Invalid(("section", "is required where the concert has several"))
        if (body.ends_at is None) == (body.hours_before is None):
            raise Invalid(("endsAt", "give either `endsAt` or `hoursBefore`"))
        key, ends_at = request.idempotency_key, None if body.ends_at is None else _end(concert, body.ends_at)

        async def hold_back() -> Response:
            # Safe to repeat: the key's block is the same one again.
            told = (secrets.token_hex(16),) if key is None else (concert.id, key, msgspec.json.encode(body).decode())
            wanted = NewBlock(
                block=from_key("block", *told),
                section=section or concert.sections[0].id,
                seats=body.seats,
                purpose=body.purpose,
                ends_at=ends_at,
                hours_before=body.hours_before,
                few_left=body.few_left,
            )
            shown = await self._concerts.blocks.hold_back(concert, wanted, by=who.id, cause=request.cause)
            return json_response(BlockView.of(shown), 201)

        return await self._keyed.once_across_partitions(f"blocks {concert.id}", key, body, hold_back)

    @route(
        "PATCH",
        "/concerts/{concert_id}/blocks",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Change a block",
        description="More seats, of those that can be had, or fewer, never below what is sold out of it; another end.",
        replies={200: Reply(BlockView)},
        refusals=(ConcertNotFound, BlockNotFound, BlockTooSmall, SeatsUnavailable, CalledOff, Busy),
    )
    async def change_block(self, request: Request, body: ChangeBlockOf) -> Response:
        """200 the block."""
        who = asking(request)
        concert = await self._concerts.directory.own(request.segment, who)
        if body.ends_at is not UNSET and body.hours_before is not UNSET:
            raise Invalid(("endsAt", "give either `endsAt` or `hoursBefore`"))
        wish = BlockWish(
            seats=body.seats,
            purpose=body.purpose,
            ends_at=UNSET if body.ends_at is UNSET else _end(concert, body.ends_at),
            hours_before=body.hours_before,
            few_left=body.few_left,
        )
        shown = await self._concerts.blocks.change(concert, body.block, wish, by=who.id, cause=request.cause)
        return json_response(BlockView.of(shown))

    @route(
        "POST",
        "/concerts/{concert_id}/blocks/release",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Let a block's seats go",
        description="From now on everybody can have those that are left. Again changes nothing.",
        replies={200: Reply(BlockView)},
        refusals=(ConcertNotFound, BlockNotFound, Busy),
    )
    async def release_block(self, request: Request, body: ReleaseBlock) -> Response:
        """200 the block."""
        who = asking(request)
        concert = await self._concerts.directory.own(request.segment, who)
        shown = await self._concerts.blocks.let_go(concert, body.block, by=who.id, cause=request.cause)
        return json_response(BlockView.of(shown))

    @route(
        "GET",
        "/concerts/{concert_id}/blocks",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="List a concert's blocks",
        description="In the order in which they were made, with those that were let go.",
        replies={200: Reply(Page[BlockView])},
        refusals=(ConcertNotFound, SectionNotFound),
    )
    async def list_blocks(self, request: Request, query: FindBlocks) -> Response:
        """A page of them."""
        concert = await self._concerts.directory.own(request.segment, asking(request))
        found = await self._concerts.blocks.all_of(concert, query.section)
        shown, following = page(found, after=query.after, limit=query.limit)
        return json_response(Page([BlockView.of(each) for each in shown], following))


def _end(concert: Concert, text: str) -> datetime:
    """When a block ends. Raises Invalid."""
    end = moment("endsAt", text, concert.zone, is_end=True)
    if end > concert.over_at:
        raise Invalid(("endsAt", "must not be after the concert is over"))
    return end
