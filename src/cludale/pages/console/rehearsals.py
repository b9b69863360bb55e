"""An on-sale rehearsed beside this process, started and watched from here. What really is sold is not touched."""

from typing import Protocol

import msgspec

from cludale.pages import forms
from cludale.pages.console import asking
from cludale.pages.site import Missing, Site
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response, Stream

MOST_BUYERS = 50_000
MOST_SEATS = 50_000
MOST_RATE = 5_000
CONNECTIONS = 64
LOOK_SECONDS = 0.5
STAGES = ("opened", "selling", "settling", "auditing", "over")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A rehearsal as somebody wants it."""

    seats: int
    buyers: int
    rate: float | None
    """Buyers a second; None: the next comes as soon as one is served."""
    declined: bool
    """One card in ten is declined."""
    numbered: bool = False
    """Seats have numbers: some buyers name theirs."""
    connections: int = CONNECTIONS


class Latency(msgspec.Struct, frozen=True, rename="camel"):
    """How long buyers waited, in milliseconds."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Check(msgspec.Struct, frozen=True):
    """Something that has to hold."""

    name: str
    ok: bool
    found: str


class RehearsalResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of it."""

    ok: bool
    buyers: int
    accepted: int
    refused: dict[str, int]
    turned_away: int
    errors: dict[str, int]
    seats_sold: int
    seconds: float
    settled_seconds: float | None
    answers_per_second: float
    orders_per_second: float | None
    latency: Latency
    checks: list[Check]


class Report(msgspec.Struct, frozen=True):
    """How it gets on, as it says itself."""

    stage: str
    done: int = 0
    accepted: int = 0
    refused: int = 0
    others: int = 0
    outcome: RehearsalResult | None = None


class State(msgspec.Struct, frozen=True):
    """The rehearsal that goes on, or went on last."""

    asked: Asked
    stage: str = ""
    """Of STAGES; empty: its server starts."""
    sold: Report | None = None
    """How the sale went so far."""
    done: int = 0
    """Of this stage."""
    outcome: RehearsalResult | None = None
    failed: str = ""
    """Why there is no outcome."""

    @property
    def is_under_way(self) -> bool:
        """Is the rehearsal still going on?"""
        return self.outcome is None and not self.failed

    def after(self, report: Report) -> "State":
        """The state after this report."""
        return State(
            self.asked,
            report.stage if report.stage in STAGES else self.stage,
            report if report.stage == "selling" else self.sold,
            report.done,
            report.outcome or self.outcome,
        )


class Rehearsals(Protocol):
    """Holds rehearsals, one at a time."""

    state: State | None
    """The rehearsal that is under way, or else the last one; None: there was none."""

    def start(self, asked: Asked) -> bool:
        """Begin; False: one is under way."""
        ...

    def stop(self) -> None:
        """End the one that is under way, if one is."""
        ...


class RehearsalPages(StaffPages):
    """The page, and what of it changes."""

    def __init__(self, site: Site, signing: Signing, rehearsals: Rehearsals | None) -> None:
        super().__init__(site, signing)
        self._rehearsals = rehearsals

    @page("GET", "/staff/console/rehearsal", "operate")
    async def _show(self, staff: Staff) -> Response:
        return self._page(staff, {}, {})

    def _page(self, staff: Staff, fields: dict[str, str], wrong: dict[str, str], *, status: int = 200) -> Response:
        return staff.shown(
            "console/rehearsal.html",
            status=status,
            can=self._rehearsals is not None,
            address=self._site.base(staff.visit),
            state=None if self._rehearsals is None else self._rehearsals.state,
            fields={"seats": "1000", "buyers": "5000", **fields},
            wrong=wrong,
            most_seats=MOST_SEATS,
            most_buyers=MOST_BUYERS,
        )

    @page("POST", "/staff/console/rehearsal", "operate")
    async def _start(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        if self._rehearsals is None:
            raise Missing
        asked, wrong = read(fields)
        if asked is None:
            return self._page(staff, fields, wrong, status=422)
        if not self._rehearsals.start(asked):
            return self._page(staff, fields, {"": "busy"}, status=409)
        return staff.see("/staff/console/rehearsal")

    @page("POST", "/staff/console/rehearsal/end", "operate")
    async def _end(self, staff: Staff) -> Response:
        forms.read(staff.visit.request)
        if self._rehearsals is not None:
            self._rehearsals.stop()
        return staff.see("/staff/console/rehearsal")

    @page("GET", "/staff/console/rehearsal-now", "operate", carries_on=False)
    async def _live(self, staff: Staff) -> Stream:
        shown: State | None = None

        async def frame() -> bytes | None:
            nonlocal shown
            state = None if self._rehearsals is None else self._rehearsals.state
            if state is shown:
                return None
            shown = state
            return self._site.html(staff.visit, "console/rehearsing.html", state=state)

        return asking.stream(staff, frame, every_seconds=LOOK_SECONDS)


def read(fields: dict[str, str]) -> tuple[Asked | None, dict[str, str]]:
    """What a form asks for; or what is wrong with which of its fields."""
    wrong: dict[str, str] = {}

    def number(name: str, most: int) -> int:
        typed = forms.whole(fields.get(name, ""), most_digits=8)
        if typed is None or not 1 <= typed <= most:
            wrong[name] = "number"
            return 1
        return typed

    seats, buyers = number("seats", MOST_SEATS), number("buyers", MOST_BUYERS)
    rate = number("rate", MOST_RATE) if fields.get("rate") else None
    declined, numbered = (fields.get(name) == "yes" for name in ("declined", "numbered"))
    asked = Asked(seats=seats, buyers=buyers, rate=rate, declined=declined, numbered=numbered)
    return (None if wrong else asked), wrong
