"""The console's figures and pictures: put together from several processes, without a server."""

from datetime import UTC, datetime, timedelta

import pytest

from cludale.pages.api import Quota
from cludale.pages.console import then
from cludale.pages.console.asking import pause_seconds
from cludale.pages.console.figures import STEPS, Merged, overview
from cludale.pages.console.rehearsals import Asked, Report, State, read
from cludale.pages.console.sparks import HEIGHT, WIDTH, share, spark
from cludale.pages.console.timeline import timeline
from cludale.pages.console.views import SERVICES, Figures, Letter, LogEntry, Point, Sale, Section, Series, ordered
from cludale.services import NAMES
from cludale.web.limits import RequestLimit

NOW = datetime(2026, 11, 29, 20, 0, 0, tzinfo=UTC)
LETTERS: dict[str, int | None] = dict.fromkeys(SERVICES, 0)


def said(service: str, *series: Series, instance: str = "one", until: datetime = NOW) -> Figures:
    return Figures(service=service, instance=instance, step_seconds=5, until=until, series=list(series))


def series(name: str, *values: float | None, **labels: str) -> Series:
    return Series(name, labels, list(values))


def test_counters_of_several_processes_are_added_up_step_by_step() -> None:
    later = said("orders", series("came_total", 1, 2, 3), instance="two", until=NOW + timedelta(seconds=5))
    merged = Merged([said("orders", series("came_total", 10, 20)), later])
    assert merged.sum("came_total")[-4:] == [None, 11, 22, 3]
    assert merged.most("came_total")[-4:] == [None, 10, 20, 3]
    assert (merged.processes("orders"), merged.processes("audit")) == (2, 0)


def test_what_is_a_processs_own_counts_once_though_each_of_its_services_tells_it() -> None:
    both = [said(service, series("cludale_events_under_way", 7)) for service in ("orders", "audit")]
    other = said("audit", series("cludale_events_under_way", 5), instance="two")
    assert overview([*both, other], LETTERS).outbox == 12


def test_an_on_sale_is_told_in_figures() -> None:
    route = {"method": "POST", "route": "/orders"}
    orders = said(
        "orders",
        series("cludale_http_requests_total", *[0] * 9, 300, 150, 150, **route, status="201"),
        series("cludale_http_refusals_total", *[0] * 11, 90, problem="seats-unavailable"),
        series("cludale_http_refusals_total", *[0] * 11, 9, problem="busy"),
        *(
            series("cludale_http_request_seconds_bucket_total", *[0] * 11, count, le=le)
            for le, count in (("0.01", 50), ("0.1", 100), ("+Inf", 100))
        ),
        series("cludale_admission_inside", *[3] * 12),
        series("cludale_admission_turned_away_total", *[0] * 11, 30),
    )
    heard = {"OrderPlaced": 600, "TicketReserved": 500, "OrderPaid": 400}
    audit = said(
        "audit",
        *(
            series("cludale_handler_outcomes_total", count, type=type, outcome="handled")
            for type, count in heard.items()
        ),
    )
    payments = said("payments", series("cludale_payments_late_seconds", 0, 12.5), series("cludale_queue_depth", 40, 90))
    now = overview([orders, audit, payments], {**LETTERS, "payments": 3, "tickets": None})
    assert (now.orders, now.orders_in_all, now.inside, now.turned_away) == (40, 600, 3, 2)
    assert (now.placed, now.held, now.paid, now.conversion) == (600, 500, 400, 80)
    assert [(each.problem, each.times, each.share) for each in now.reasons] == [
        ("seats-unavailable", 90, 100),
        ("busy", 9, 10),
    ]
    assert (now.latency.half, now.latency.most) == (10, 98)
    assert now.late == 12.5
    rows = {row.service: row for row in now.rows}
    assert (rows["payments"].waiting, rows["payments"].letters, rows["payments"].answers) == (90, 3, True)
    assert (rows["tickets"].answers, rows["tickets"].letters) == (False, None)
    (last, *_) = now.minutes
    assert (last.at, last.orders, last.refused) == (NOW, 600, 99)


def test_what_waits_at_the_broker_counts_in_the_place_of_what_its_processes_have() -> None:
    one = said("audit", series("cludale_queue_depth", 40, 50, 60), series("cludale_broker_waiting", None, 700, 900))
    two = said(
        "audit", series("cludale_queue_depth", 5, 5, 5), series("cludale_broker_waiting", 600, 700, 899), instance="two"
    )
    now = overview([one, two, said("orders", series("cludale_queue_depth", 7, 7, 7))], LETTERS)
    rows = {row.service: (row.waiting, row.is_at_broker) for row in now.rows}
    assert (rows["audit"], rows["orders"]) == ((900, True), (7, False))
    assert now.minutes[0].waiting == 907


def test_where_nobody_answers_there_is_a_page_without_figures() -> None:
    now = overview([], dict.fromkeys(SERVICES))
    assert (now.until, now.orders, now.conversion, now.latency.half) == (None, 0, None, None)
    assert [row.answers for row in now.rows] == [False] * len(SERVICES)
    assert (now.minutes, now.orders_spark.line) == ([], "")
    begun = overview([said("orders")], LETTERS)
    assert begun.minutes == []


def test_a_spark_stays_within_its_picture() -> None:
    line = spark([None, 0, 5, 10])
    points = [tuple(map(float, each.split(","))) for each in line.line.split()]
    assert [x for x, _ in points] == [80, 160, 240]
    assert all(0 <= x <= WIDTH and 0 < y < HEIGHT for x, y in points)
    assert points[0][1] > points[1][1] > points[2][1]
    assert (spark([]).line, spark([None] * STEPS).line) == ("", "")
    assert spark([0.0, 0.1], least=1).most == 1
    assert (share(1, 0), share(5, 4), share(1, 3)) == (0, 100, 33)


def entry(number: int, service: str, cause: int | None, seconds: float) -> LogEntry:
    at = NOW + timedelta(seconds=seconds)
    return LogEntry(
        sequence=number,
        event_id=f"e{number}",
        event_type="OrderPlaced",
        timestamp=at,
        source=service,
        subject="o",
        causation_id=None if cause is None else f"e{cause}",
        received_at=at,
        payload={"orderId": "o"},
    )


def test_a_timeline_has_a_lane_for_each_service_and_a_line_from_each_cause() -> None:
    line = timeline([entry(1, "orders", None, 0), entry(2, "concerts", 1, 0.5), entry(3, "waitlist", 9, 3_700)])
    assert [lane.service for lane in line.lanes] == ["orders", "concerts", "waitlist"]
    assert [(dot.number, dot.cause, dot.after) for dot in line.dots] == [
        (1, None, "+0.000 s"),
        (2, 1, "+0.500 s"),
        (3, None, "+1:01:40"),
    ]
    assert len(line.arrows) == 1
    assert all(0 < dot.x < line.width and 0 < dot.y < line.height for dot in line.dots)
    assert timeline([]).dots == []


def sale(at: datetime) -> Sale:
    curve = [Point(NOW + timedelta(seconds=5 * step), 10 * step, 2) for step in range(1, 5)]
    return Sale(
        concert_id="c", at=at, first=NOW, last=NOW + timedelta(seconds=20), complete=True, events=9,
        sections=[Section("a", "A", 100, 2, 40)], orders={}, taken=[], refunded=[], curve=curve,
    )  # fmt: skip


def test_the_slider_goes_from_the_first_event_to_the_last() -> None:
    one = sale(NOW + timedelta(seconds=10))
    first, last, step, at = then.range_of(one, NOW)
    assert (first, last, at) == (NOW.timestamp() * 1000, first + 21_000, first + 10_000)
    assert step == 1_000
    assert then.picture(one).now == then.WIDTH / 2
    assert then.nearby(one.curve, one.at) == (NOW + timedelta(seconds=5), NOW + timedelta(seconds=15))
    empty = Sale(
        concert_id="c", at=NOW, first=None, last=None, complete=True, events=0,
        sections=[], orders={}, taken=[], refunded=[], curve=[],
    )  # fmt: skip
    assert then.picture(empty).sold == ""
    assert then.range_of(empty, NOW).at == NOW.timestamp() * 1000


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ({}, None),
        ({"at": str(round(NOW.timestamp() * 1000))}, NOW),
        ({"at": "2026-11-29T20:00:00Z"}, NOW),
        ({"day": "2026-11-29", "time": "20:00:00"}, NOW),
        ({"day": "2026-11-29", "time": ""}, NOW.replace(hour=0)),
    ],
)
def test_a_moment_is_what_a_form_says(fields: dict[str, str], meant: datetime | None) -> None:
    assert then.moment(fields) == meant


@pytest.mark.parametrize(
    "fields", [{"at": "9" * 15}, {"at": "soon"}, {"day": "x"}, {"day": "2026-11-29", "time": "25"}]
)
def test_what_is_no_moment_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        then.moment(fields)


def test_a_rehearsal_is_read_from_its_form_and_followed_by_its_reports() -> None:
    asked, wrong = read({"seats": "10", "buyers": "20", "rate": "5", "declined": "yes"})
    assert (asked, wrong) == (Asked(seats=10, buyers=20, rate=5, declined=True), {})
    assert asked is not None
    for field, text in (("seats", "0"), ("buyers", "x"), ("rate", "-1"), ("buyers", "99999999999"), ("seats", "١٢")):
        assert read({"seats": "1", "buyers": "1", field: text})[1] == {field: "number"}
    state = State(asked).after(Report("selling", done=7, accepted=5)).after(Report("settling", done=5))
    assert (state.stage, state.done, state.sold) == ("settling", 5, Report("selling", done=7, accepted=5))
    assert state.is_under_way


def test_every_service_has_its_place() -> None:
    assert set(SERVICES) == set(NAMES)
    assert ordered([*NAMES, "waitlist"]) == (*SERVICES, "waitlist")


def test_a_letter_that_is_no_event_is_shown_as_it_came() -> None:
    letter = Letter(
        id="l", consumer="orders", event_type="?", event_id="?", reason="r", attempts=1, buried_at=NOW,
        state="Waiting", body="{not",
    )  # fmt: skip
    assert (letter.event, letter.order_id) == ("{not", "")


@pytest.mark.parametrize(
    ("quota", "cost", "seconds"),
    [
        (None, 12, 5.0),
        (Quota(left=9_000, reset_seconds=30, most=10_000, window_seconds=60), 12, 5.0),
        (Quota(left=100, reset_seconds=30, most=120, window_seconds=60), 12, 12.0),
        (Quota(left=30, reset_seconds=41, most=120, window_seconds=60), 12, 41.0),
        (Quota(left=0, reset_seconds=3, most=120, window_seconds=60), 12, 12.0),
        (Quota(left=0, reset_seconds=30, most=120, window_seconds=60), 0, 5.0),
    ],
)
def test_a_page_that_goes_on_by_itself_leaves_most_requests_to_who_sits_there(
    quota: Quota | None, cost: int, seconds: float
) -> None:
    assert pause_seconds(5.0, quota, cost=cost) == seconds


def test_what_is_left_is_read_as_the_limits_say_it() -> None:
    limit = RequestLimit("key", most=120, seconds=60.0, clock=lambda: 20.0)
    said = dict(limit.check("key-1"))
    assert Quota.of(said["ratelimit"], said["ratelimit-policy"]) == Quota(119, 40, 120, 60)
    for quota, policy in (("", ""), ('"key";r=1', '"key";q=1;w=1'), ('"key";r=x;t=1', '"key";q=1;w=1')):
        assert Quota.of(quota, policy) is None
