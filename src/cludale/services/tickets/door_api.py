"""The entrance over HTTP: shapes, routes, refusal → status. Decides nothing."""

import csv
import io
from collections import Counter
from datetime import datetime, timedelta
from typing import Annotated, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.ids import Id
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, NotFound, Refusal
from cludale.kernel.times import rfc3339
from cludale.ports.records import StoreUnavailable
from cludale.services.tickets.domain import ticket_id
from cludale.services.tickets.door import Counts, Inside, Result
from cludale.services.tickets.door_service import ClockAhead, DeviceScan, DoorAnswer, Doors, IsTheirs, Scan
from cludale.services.tickets.events import Direction, UndoReason
from cludale.services.tickets.merging import Conflict, MergeResult, scan_id_of
from cludale.web.ownership import Ownership
from cludale.web.problems import Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Owned, Reply, Request, asking, route
from cludale.web.seats import SeatView

JOSE, CSV = "application/jose", "text/csv; charset=utf-8"
MERGED_AT_ONCE = 500
"""How many scans one batch tells at most."""
MERGE_BYTES = 2**19
_TAG_HEADERS = (("cache-control", "private, no-cache"),)
_NOT_KEPT = (("cache-control", "private, no-store"),)


class ScansOutOfOrder(Refusal):
    """Scans of a batch are not in the order of their sequence numbers, or a later one has an earlier time."""

    def __init__(self, sequence: int) -> None:
        super().__init__(
            f"Scan {sequence} does not come after the one before it: tell scans by rising `sequence`, and no `at` "
            "before that of the scan before.",
            sequence=sequence,
        )


STATUS: Statuses = {ClockAhead: 409, ScansOutOfOrder: 422}


class ScanCode(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A code that a door was shown."""

    code: Annotated[str, Meta(min_length=1, max_length=2_000, description="the text of the QR code")]
    door: Annotated[Id, Meta(description="which door; in the log and in the counts")]
    concert_id: Annotated[Id | None, Meta(description="what is on there; without it any concert of the key's")] = None
    direction: Direction = Direction.IN
    scan_id: Annotated[Id | None, Meta(description="the device's own: sent again, it gets the same answer")] = None


class Admission(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the door says. Only `valid` lets through."""

    result: Result
    ticket_id: str | None
    concert_id: str | None
    number: int | None
    quantity: int | None
    section: Annotated[str | None, Meta(description="the beginning of the section's id")]
    at: Annotated[
        datetime | None, Meta(description="when it was let through, or was before (`used`); from when on (`not-yet`)")
    ]
    door: Annotated[str | None, Meta(description="where that was")]
    moved_to: Annotated[
        SeatView | UnsetType,
        Meta(description="`replaced`, for whoever shows it was moved: the seat that is theirs now"),
    ] = UNSET

    @classmethod
    def of(cls, answer: DoorAnswer) -> Self:
        """The view of what the door says."""
        said, claims = answer.scanned, answer.claims
        return cls(
            result=said.result,
            ticket_id=None if claims is None else ticket_id(claims.order_id, claims.number),
            concert_id=answer.concert_id,
            number=None if claims is None else claims.number,
            quantity=None if claims is None else claims.quantity,
            section=None if claims is None else claims.section,
            at=said.at,
            door=said.door,
            moved_to=UNSET if said.moved_to is None else SeatView.of(said.moved_to),
        )


class ToldScan(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One scan that a device decided by itself, and let through."""

    sequence: Annotated[int, Meta(ge=1, le=2**53 - 1, description="which of the device's scans: it counts up")]
    code: Annotated[str, Meta(min_length=1, max_length=400, description="the text of the QR code")]
    door: Annotated[Id, Meta(description="which door")]
    direction: Direction = Direction.IN
    at: Annotated[datetime, Meta(tz=True, description="when, by the device's clock as it was put right")]
    undone: Annotated[UndoReason | None, Meta(description="it did not count after all, and why")] = None


class MergeScans(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a device let through without network."""

    device: Annotated[Id, Meta(max_length=60, description="which device: the same name for ever")]
    clock: Annotated[datetime, Meta(tz=True, description="what its clock says now")]
    scans: Annotated[list[ToldScan], Meta(max_length=MERGED_AT_ONCE, description="by rising sequence; may be empty")]


class MergedScanView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one scan."""

    sequence: int
    scan_id: str
    ticket_id: Annotated[str | None, Meta(description="null where it is not kept")]
    result: MergeResult


class MergedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a batch."""

    server_time: datetime
    offset_milliseconds: Annotated[int, Meta(description="by how much the server's clock is ahead of `clock`")]
    scans: Annotated[list[MergedScanView], Meta(description="in the batch's order; `recorded` and `known` are kept")]
    conflicts: Annotated[list[Conflict], Meta(description="of the tickets among them, as far as is known by now")]


class OfConcert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of which concert."""

    concert_id: Id


class ConflictList(msgspec.Struct, frozen=True):
    """Whom doors without network let in that should not have been, by when they came."""

    items: list[Conflict]


class SectionInside(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many are inside a section."""

    section: str
    section_name: str
    inside: int


class InsideList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who is inside now."""

    at: datetime
    inside: int
    sections: list[SectionInside]
    items: Annotated[list[Inside], Meta(description="by section and by when they came; no names")]

    @classmethod
    def of(cls, found: list[Inside], at: datetime) -> Self:
        """The view of these."""
        by_section = Counter((each.section, each.section_name) for each in found)
        sections = [
            SectionInside(section=section, section_name=name, inside=number)
            for (section, name), number in sorted(by_section.items())
        ]
        return cls(at=at, inside=len(found), sections=sections, items=found)


class DoorApi:
    """The routes of the entrance."""

    def __init__(self, doors: Doors, ownership: Ownership) -> None:
        self._doors = doors
        self._ownership = ownership

    @route(
        "POST",
        "/tickets/admissions",
        scope=Scope.DOOR,
        headers=(TRACEPARENT,),
        summary="Let somebody in",
        description=(
            "Reads the code and says what the door does. `valid` is durable when it is answered, and is said once for "
            "a ticket; to a ticket of another organizer's concert the answer is `wrong-concert`."
        ),
        replies={200: Reply(Admission)},
        refusals=(Busy, StoreUnavailable),
    )
    async def admit(self, request: Request, body: ScanCode) -> Response:
        """What the door says."""
        doors = self._doors
        scan = Scan(body.code, body.door, body.scan_id or doors.new_scan_id(), body.direction, body.concert_id)
        return json_response(Admission.of(await doors.scan(scan, request.cause, self._theirs(request))))

    @route(
        "POST",
        "/tickets/admissions/merge",
        scope=Scope.DOOR,
        headers=(TRACEPARENT,),
        max_body_bytes=MERGE_BYTES,
        summary="Tell what a door let through without network",
        description=(
            "A scan is known by device and sequence, so a batch may come twice, late and in any order: the end is the "
            "same. All that were let through are written down, those who should not have been, too; `conflicts` names "
            "them. An empty batch tells a device how wrong its clock is."
        ),
        replies={200: Reply(MergedView)},
        refusals=(ClockAhead, ScansOutOfOrder, Busy, StoreUnavailable),
    )
    async def merge_admissions(self, request: Request, body: MergeScans) -> Response:
        """What became of each."""
        for before, scan in zip(body.scans, body.scans[1:], strict=False):
            if scan.sequence <= before.sequence or scan.at < before.at:
                raise ScansOutOfOrder(scan.sequence)
        offset = self._doors.offset(body.clock)
        told = [
            DeviceScan(each.code, each.door, each.direction, each.sequence, each.at, each.undone) for each in body.scans
        ]
        merged = await self._doors.merge(body.device, told, cause=request.cause, is_theirs=self._theirs(request))
        scans = [
            MergedScanView(
                sequence=each.sequence, scan_id=scan_id_of(body.device, each.sequence), ticket_id=id, result=result
            )
            for each, (result, id) in zip(body.scans, merged.scans, strict=True)
        ]
        view = MergedView(
            server_time=body.clock + offset,
            offset_milliseconds=offset // timedelta(milliseconds=1),
            scans=scans,
            conflicts=list(merged.conflicts),
        )
        return json_response(view)

    @route(
        "GET",
        "/tickets/admissions",
        scope=Scope.DOOR,
        owned=Owned.HIDDEN,
        summary="Count who came and left",
        description="Of one concert, by door and minute; what doors without network told later is in it.",
        replies={200: Reply(Counts)},
        refusals=(NotFound, Busy),
    )
    async def count_admissions(self, request: Request, query: OfConcert) -> Response:
        """In and out."""
        return json_response(await self._doors.counts(await self._own(request, query)))

    @route(
        "GET",
        "/tickets/admissions/conflicts",
        scope=Scope.DOOR,
        owned=Owned.HIDDEN,
        summary="Whom doors without network let in that should not have been",
        description=(
            "Double entries with both doors and times; void and replaced tickets; and whoever was let in with the code "
            "of before their seat was moved, with the seat that is theirs now. Of one concert."
        ),
        replies={200: Reply(ConflictList)},
        refusals=(NotFound, Busy),
    )
    async def list_conflicts(self, request: Request, query: OfConcert) -> Response:
        """All of them."""
        return json_response(ConflictList(await self._doors.conflicts(await self._own(request, query))))

    @route(
        "GET",
        "/tickets/snapshot",
        scope=Scope.DOOR,
        owned=Owned.HIDDEN,
        summary="What a door goes by without network",
        description=(
            "A JSON Web Signature (compact, EdDSA) of the key that signs tickets: hours, public keys, and the tickets "
            "to which something happened. No names. With `If-None-Match` the answer is 304 while nothing changed."
        ),
        replies={200: Reply(bytes, media_type=JOSE)},
        refusals=(NotFound, Busy),
    )
    async def show_snapshot(self, request: Request, query: OfConcert) -> Response:
        """Signed."""
        shot = await self._doors.snapshot(await self._own(request, query))
        return Response(200, shot.body, JOSE, (("etag", f'"{shot.tag}"'), *_TAG_HEADERS))

    @route(
        "GET",
        "/tickets/inside",
        scope=Scope.DOOR,
        owned=Owned.HIDDEN,
        summary="Who is inside now",
        description="The evacuation list of a concert: how many, and which tickets, by section. No names.",
        replies={200: Reply(InsideList)},
        refusals=(NotFound, Busy),
    )
    async def list_inside(self, request: Request, query: OfConcert) -> Response:
        """All of them."""
        found = await self._doors.inside(await self._own(request, query))
        return _private(json_response(InsideList.of(found, self._doors.now())))

    @route(
        "GET",
        "/tickets/inside.csv",
        scope=Scope.DOOR,
        owned=Owned.HIDDEN,
        summary="Who is inside now, as a table",
        replies={200: Reply(bytes, media_type="text/csv")},
        refusals=(NotFound, Busy),
    )
    async def export_inside(self, request: Request, query: OfConcert) -> Response:
        """CSV."""
        found = await self._doors.inside(await self._own(request, query))
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(("section", "sectionName", "ticketId", "since", "door"))
        rows.writerows((e.section, _cell(e.section_name), e.ticket_id, rfc3339(e.since), e.door) for e in found)
        return Response(200, text.getvalue().encode(), CSV, _NOT_KEPT)

    async def _own(self, request: Request, query: OfConcert) -> str:
        """The concert, if it is who asks's. Raises NotFound."""
        if not await self._ownership.owns(asking(request), query.concert_id):
            raise NotFound("concert", query.concert_id)
        return query.concert_id

    def _theirs(self, request: Request) -> IsTheirs | None:
        principal = asking(request)
        return None if self._ownership.sees_all(principal) else lambda id: self._ownership.owns(principal, id)


def _cell(text: str) -> str:
    """What no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _private(response: Response) -> Response:
    return response._replace(headers=(*response.headers, *_NOT_KEPT))
