"""Reconciliations over HTTP: begin one, see how far it is, list what differs, settle it. Decides nothing."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from cludale.kernel.money import Money
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.records import Query
from cludale.services.payments.differences import FoundDifference, NotToSettle, Settlement, State, to_give_back
from cludale.services.payments.mends import Difference
from cludale.services.payments.reconciliation import Reconciliation
from cludale.services.payments.reconciling import Reconciling
from cludale.services.payments.store import differences_listed
from cludale.web.fields import TimeParameter, moment
from cludale.web.problems import Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Reply, Request, route

STATUS: Statuses = {NotToSettle: 409}

Note = Annotated[str, Meta(max_length=500, description="why, for whoever looks later; name no buyer")]


class ReconciliationStatus(StrEnum):
    """How far it has come."""

    RUNNING = "Running"
    WAITING = "Waiting"
    DONE = "Done"


class DifferenceStatus(StrEnum):
    """What has become of a difference."""

    OPEN = "Open"
    MENDING = "Mending"
    MENDED = "Mended"
    SETTLING = "Settling"
    SETTLED = "Settled"

    @classmethod
    def of(cls, found: FoundDifference, *, is_mended: bool) -> "DifferenceStatus":
        """Its status."""
        return cls.MENDED if is_mended else cls(found.state.value.capitalize())

    @property
    def stored(self) -> State:
        """As which it is stored: whether a mend is done, the payment says."""
        return State.MENDING if self is DifferenceStatus.MENDED else State(self.value.lower())


class BeginReconciliation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Compare the provider's books of this time with the payments here."""

    since: (
        Annotated[TimeParameter, Meta(description="charges that began then or later; else as many days as is set")]
        | None
    ) = None
    until: Annotated[TimeParameter, Meta(description="and before this; else until now")] | None = None


class ReconciliationView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A reconciliation and how far it has come."""

    id: str
    status: Annotated[
        ReconciliationStatus, Meta(description="Waiting: the provider gave no answer, and is asked again")
    ]
    since: datetime
    until: datetime
    on_schedule: bool
    started_at: datetime
    finished_at: datetime | None
    compared: Annotated[int, Meta(description="charges of the provider's that were compared so far")]
    others: Annotated[int, Meta(description="charges of the provider's that are not this platform's")]
    payments: Annotated[int, Meta(description="payments here that were looked at so far")]
    found: Annotated[
        dict[str, int], Meta(description="differences by kind, those that were found before and still stand, too")
    ]
    trouble: Annotated[str | None, Meta(description="what the provider said last, while Waiting")]

    @classmethod
    def of(cls, each: Reconciliation) -> Self:
        """The view of one."""
        status = ReconciliationStatus.RUNNING
        if each.finished_at is not None:
            status = ReconciliationStatus.DONE
        elif each.tries:
            status = ReconciliationStatus.WAITING
        return cls(
            id=each.id,
            status=status,
            since=each.since,
            until=each.until,
            on_schedule=each.on_schedule,
            started_at=each.started_at,
            finished_at=each.finished_at,
            compared=each.compared,
            others=each.others,
            payments=each.payments,
            found=dict(each.found),
            trouble=each.trouble or None,
        )


class DifferenceView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that differs between the provider's books and the payments here."""

    id: str
    kind: Difference
    status: Annotated[DifferenceStatus, Meta(description="Open: a person has to settle it")]
    key: Annotated[str, Meta(description="the charge's key, as the provider has it")]
    reference: Annotated[str | None, Meta(description="the provider's own id of the charge")]
    payment_id: str | None
    order_id: str | None
    amount: Annotated[Money, Meta(description="what it is about: what goes back, or what is had or lacking")]
    taken: Annotated[Money | None, Meta(description="what the provider took; null: nothing")]
    returned: Annotated[Money | None, Meta(description="what of that went back")]
    found_at: datetime
    found_by: Annotated[str, Meta(description="the reconciliation that found it first")]
    ended_at: datetime | None
    note: str
    settlements: Annotated[list[Settlement], Meta(description="how a person can settle it now")]

    @classmethod
    def of(cls, found: FoundDifference, *, is_mended: bool = False) -> Self:
        """The view of one."""
        choices: list[Settlement] = []
        if found.state in (State.OPEN, State.SETTLING) and to_give_back(found) is not None:
            choices.append(Settlement.GIVE_BACK)
        if found.state is State.OPEN:
            choices.append(Settlement.LEAVE)
        taken = found.taken
        return cls(
            id=found.id,
            kind=found.kind,
            status=DifferenceStatus.of(found, is_mended=is_mended),
            key=found.key,
            reference=found.reference,
            payment_id=found.payment_id,
            order_id=found.order_id,
            amount=found.amount,
            taken=taken,
            returned=None if taken is None else Money(found.returned, taken.currency),
            found_at=found.found_at,
            found_by=found.found_by,
            ended_at=found.ended_at,
            note=found.note,
            settlements=choices,
        )


class FindReconciliations(Paged, frozen=True, kw_only=True, rename="camel"):
    """Which page of them."""


class FindDifferences(Paged, frozen=True, kw_only=True, rename="camel"):
    """Which differences to list."""

    status: DifferenceStatus | None = None
    found_by: Annotated[str | None, Meta(description="the reconciliation that found it first")] = None


class SettleDifference(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a person decides about a difference."""

    settlement: Settlement
    note: Note = ""


class ReconciliationApi:
    """The routes of reconciliations."""

    def __init__(self, reconciling: Reconciling) -> None:
        self._reconciling = reconciling

    @route(
        "POST",
        "/payments/reconciliations",
        scope=Scope.OPERATE,
        headers=(TRACEPARENT,),
        summary="Compare the payment provider's books with the payments",
        description=(
            "Begins one more, beside those on schedule. What is certainly the buyers' money goes back by itself; the "
            "rest is listed at `/payments/differences`."
        ),
        replies={202: Reply(ReconciliationView, "It has begun.")},
        refusals=(Busy,),
    )
    async def begin_reconciliation(self, _: Request, body: BeginReconciliation) -> Response:
        """202 how far it is."""
        since, until = moment("since", body.since), moment("until", body.until)
        if since is not None and until is not None and since >= until:
            raise Invalid(("until", "has to be after `since`"))
        begun = await self._reconciling.begin(since=since, until=until)
        return json_response(ReconciliationView.of(begun), 202)

    @route(
        "GET",
        "/payments/reconciliations",
        scope=Scope.OPERATE,
        summary="List reconciliations",
        description="The latest first.",
        replies={200: Reply(Page[ReconciliationView])},
    )
    async def list_reconciliations(self, _: Request, query: FindReconciliations) -> Response:
        """A page of them."""
        found, following = await self._reconciling.runs(Query(after=query.after, limit=query.limit, descending=True))
        return json_response(Page([ReconciliationView.of(each) for each in found], following))

    @route(
        "GET",
        "/payments/reconciliations/{reconciliation_id}",
        scope=Scope.OPERATE,
        summary="How far a reconciliation has come",
        replies={200: Reply(ReconciliationView)},
        refusals=(NotFound,),
    )
    async def show_reconciliation(self, request: Request) -> Response:
        """It, as it is now."""
        found = await self._reconciling.run(request.segment)
        if found is None:
            raise NotFound("reconciliation", request.segment)
        return json_response(ReconciliationView.of(found))

    @route(
        "GET",
        "/payments/differences",
        scope=Scope.OPERATE,
        summary="List what differs between the provider's books and the payments",
        description=(
            "The latest first. With `status` Mending or Mended a page may have fewer of them than `limit`, or none, "
            "and a `next` all the same."
        ),
        replies={200: Reply(Page[DifferenceView])},
    )
    async def list_differences(self, _: Request, query: FindDifferences) -> Response:
        """A page of them."""
        state = None if query.status is None else query.status.stored
        wanted = differences_listed(state=state, found_by=query.found_by, after=query.after, limit=query.limit)
        found, following = await self._reconciling.differences(wanted)
        shown = [DifferenceView.of(each, is_mended=is_mended) for each, is_mended in found]
        return json_response(
            Page([each for each in shown if query.status is None or each.status is query.status], following)
        )

    @route(
        "POST",
        "/payments/differences/{difference_id}/settle",
        scope=Scope.OPERATE,
        headers=(TRACEPARENT,),
        summary="Settle a difference that does not mend itself",
        description=(
            "`give-back` gives back what the provider has of this charge, once, however often it is asked for; `leave` "
            "says that it was looked into. A settled difference stays as it is. 503: the provider gave no answer, ask "
            "again."
        ),
        replies={200: Reply(DifferenceView)},
        refusals=(NotFound, NotToSettle, Busy),
    )
    async def settle_difference(self, request: Request, body: SettleDifference) -> Response:
        """It, as it is now."""
        settled = await self._reconciling.settle(request.segment, body.settlement, body.note, request.cause)
        return json_response(DifferenceView.of(settled))
