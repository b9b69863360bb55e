"""The figures of all processes of all services put together, and what an operator wants to know of them. No I/O."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from cludale.pages.console.sparks import Spark, share, spark
from cludale.pages.console.views import Figures, Trouble

STEPS = 120
"""Ten minutes in steps of five seconds."""
STEP_SECONDS = 5
NOW_STEPS = 3
"""What is called now: the last 15 seconds."""
LATENCY_STEPS = 12
"""Quantiles of the last minute."""
MOST_REASONS = 8
AT_BROKER = "cludale_broker_waiting"

Line = list[float | None]


class Quantiles(NamedTuple):
    """What commands took, in milliseconds; None: there was none."""

    half: float | None
    most: float | None
    """All but one in a hundred took no longer."""


class SubscriptionRow(NamedTuple):
    """A subscription: one service, and the events that it hears."""

    service: str
    answers: bool
    """Did one of its processes answer?"""
    processes: int
    waiting: int
    """Events that wait for it: at the broker and on their way from there, or as far as its processes know."""
    is_at_broker: bool
    """Has the broker said how many?"""
    lag: float
    """Seconds from an event to the end of its handling: the greatest of the last 15."""
    handled: float
    """Events a second."""
    failed: int
    """In the last ten minutes: its handler broke, or refused."""
    buried: int
    errors: int
    """Answers 5xx in the last ten minutes."""
    letters: int | None
    """Dead letters that wait; None: not known. More than a page of them are said as that."""
    spark: Spark


class Reason(NamedTuple):
    """A refusal and how often it was given in the last ten minutes."""

    problem: str
    times: int
    share: int
    """How often, in hundredths of the most frequent one."""


class Minute(NamedTuple):
    """One minute as a row of the table."""

    at: datetime
    """Its end."""
    orders: int
    held: int
    paid: int
    refused: int
    half: float | None
    most: float | None
    waiting: int
    late: float


class Overview(NamedTuple):
    """Everything on the first page."""

    until: datetime | None
    orders: float
    """A second."""
    orders_in_all: int
    orders_spark: Spark
    inside: int
    queueing: int
    turned_away: float
    turned_spark: Spark
    placed: int
    held: int
    paid: int
    conversion: int | None
    """Paid orders of those that had their seats, in hundredths; None: there were none."""
    reasons: Sequence[Reason]
    refused: float
    refused_spark: Spark
    latency: Quantiles
    latency_spark: Spark
    late: float
    stuck: int
    late_spark: Spark
    outbox: int
    outbox_oldest: float
    outbox_spark: Spark
    rows: Sequence[SubscriptionRow]
    minutes: Sequence[Minute]
    troubles: Sequence[Trouble]


class Merged:
    """Figures of several processes, step by step: the last STEPS before the newest of all."""

    def __init__(self, all_: Iterable[Figures]) -> None:
        self._all = [each for each in all_ if each.until is not None and each.step_seconds == STEP_SECONDS]
        self.until = max((each.until for each in self._all if each.until is not None), default=None)

    @property
    def services(self) -> Collection[str]:
        """The services of which a process answered."""
        return {each.service for each in self._all}

    def processes(self, service: str) -> int:
        """How many of a service answered."""
        return len({each.instance for each in self._all if each.service == service})

    def sum(self, name: str, services: Collection[str] = (), *, once: bool = False, **labels: str) -> Line:
        """The figure, added up over these services, or all. `once`: it is a process's, not one service's."""
        return self._merged(_plus, name, services, labels, once=once)

    def most(self, name: str, services: Collection[str] = (), **labels: str) -> Line:
        """The figure where it is greatest."""
        return self._merged(max, name, services, labels)

    def by(self, label: str, name: str, services: Collection[str] = ()) -> dict[str, Line]:
        """The figure added up, by one of its labels."""
        values = dict.fromkeys(
            series.labels[label]
            for each in self._all
            if not services or each.service in services
            for series in each.series
            if series.name == name and label in series.labels
        )
        return {value: self._merged(_plus, name, services, {label: value}) for value in values}

    def _merged(
        self,
        add: Callable[[float, float], float],
        name: str,
        services: Collection[str],
        labels: Mapping[str, str],
        *,
        once: bool = False,
    ) -> Line:
        found: Line = [None] * STEPS
        seen: set[str] = set()
        for each in self._all:
            if (services and each.service not in services) or each.until is None or self.until is None:
                continue
            if once and each.instance in seen:
                continue
            seen.add(each.instance)
            behind = round((self.until - each.until).total_seconds()) // STEP_SECONDS
            for series in each.series:
                if series.name == name and labels.items() <= series.labels.items():
                    for back, value in enumerate(reversed(series.values)):
                        at = STEPS - 1 - behind - back
                        if at < 0:
                            break
                        if value is not None:
                            known = found[at]
                            found[at] = value if known is None else add(known, value)
        return found


def overview(all_: Sequence[Figures], letters: Mapping[str, int | None]) -> Overview:
    """What there is to see. `letters`: dead letters that wait, by service, for all services that there are."""
    merged = Merged(all_)
    accepted = _added(
        merged.sum("cludale_http_requests_total", ("orders",), route="/orders", method="POST", status=status)
        for status in ("201", "202")
    )
    events = merged.by("type", "cludale_handler_outcomes_total", ("audit",))
    placed, held, paid = (events.get(type, []) for type in ("OrderPlaced", "TicketReserved", "OrderPaid"))
    refusals = merged.by("problem", "cludale_http_refusals_total")
    refused = _added(refusals.values())
    turned = merged.sum("cludale_admission_turned_away_total", ("orders",))
    buckets = _buckets(merged)
    most = [_quantiles(buckets, at, at + 1).most for at in range(STEPS)]
    late = _greater(
        merged.most("cludale_payments_late_seconds", ("payments",)),
        merged.most("cludale_handler_lag_seconds", ("payments",)),
    )
    outbox = merged.sum("cludale_events_under_way", once=True)
    sum_held, sum_paid = _total(held), _total(paid)
    return Overview(
        until=merged.until,
        orders=_rate(accepted),
        orders_in_all=_total(accepted),
        orders_spark=spark(_per_second(accepted), least=1),
        inside=int(_last(merged.sum("cludale_admission_inside", ("orders",)))),
        queueing=int(_last(merged.sum("cludale_admission_waiting", ("orders",)))),
        turned_away=_rate(turned),
        turned_spark=spark(_per_second(turned), least=1),
        placed=_total(placed),
        held=sum_held,
        paid=sum_paid,
        conversion=share(sum_paid, sum_held) if sum_held else None,
        reasons=_reasons(refusals),
        refused=_rate(refused),
        refused_spark=spark(_per_second(refused), least=1),
        latency=_quantiles(buckets, STEPS - LATENCY_STEPS, STEPS),
        latency_spark=spark(most, least=10),
        late=round(max((each or 0 for each in late[-NOW_STEPS:]), default=0), 1),
        stuck=int(_last(merged.sum("cludale_payments_stuck", ("payments",)))),
        late_spark=spark(late, least=1),
        outbox=int(_last(outbox)),
        outbox_oldest=round(_last(merged.most("cludale_outbox_oldest_seconds")), 1),
        outbox_spark=spark(outbox, least=10),
        rows=[_row(merged, service, waiting) for service, waiting in letters.items()],
        minutes=_minutes(merged, accepted, held, paid, refused, buckets, late),
        troubles=list({each.part: each for figures in all_ for each in figures.troubles}.values()),
    )


def _row(merged: Merged, service: str, letters: int | None) -> SubscriptionRow:
    outcomes = merged.by("outcome", "cludale_handler_outcomes_total", (service,))
    waiting = _waiting(merged, service)
    lag = merged.most("cludale_handler_lag_seconds", (service,))
    processes = merged.processes(service)
    is_deep = any(waiting)
    return SubscriptionRow(
        service=service,
        answers=processes > 0,
        processes=processes,
        waiting=int(_last(waiting)),
        is_at_broker=any(each is not None for each in merged.most(AT_BROKER, (service,))[-NOW_STEPS:]),
        lag=round(max((each or 0 for each in lag[-NOW_STEPS:]), default=0), 2),
        handled=_rate(outcomes.get("handled", [])),
        failed=_total(outcomes.get("failed", [])) + _total(outcomes.get("refused", [])),
        buried=_total(outcomes.get("buried", [])),
        errors=_total(merged.sum("cludale_http_errors_total", (service,))),
        letters=letters,
        spark=spark(waiting if is_deep else lag, least=10 if is_deep else 1),
    )


def _waiting(merged: Merged, service: str) -> Line:
    """What the broker says has all in it that waits in the service's processes, too; each process says the same."""
    broker = merged.most(AT_BROKER, (service,))
    depth = merged.sum("cludale_queue_depth", (service,))
    return [own if at_broker is None else at_broker for at_broker, own in zip(broker, depth, strict=True)]


def _minutes(
    merged: Merged, accepted: Line, held: Line, paid: Line, refused: Line, buckets: Mapping[float, Line], late: Line
) -> list[Minute]:
    if merged.until is None:
        return []
    waiting = _added(_waiting(merged, service) for service in merged.services)
    rows = []
    per_minute = 60 // STEP_SECONDS
    for until in range(STEPS, 0, -per_minute):
        span = slice(until - per_minute, until)
        if all(each is None for each in waiting[span]):
            break
        quantiles = _quantiles(buckets, until - per_minute, until)
        rows.append(
            Minute(
                at=datetime.fromtimestamp(
                    merged.until.timestamp() - (STEPS - until) * STEP_SECONDS, merged.until.tzinfo
                ),
                orders=_total(accepted[span]),
                held=_total(held[span]),
                paid=_total(paid[span]),
                refused=_total(refused[span]),
                half=quantiles.half,
                most=quantiles.most,
                waiting=int(max((each or 0 for each in waiting[span]), default=0)),
                late=round(max((each or 0 for each in late[span]), default=0), 1),
            )
        )
    return rows


def _reasons(refusals: Mapping[str, Line]) -> list[Reason]:
    counts = Counter({problem: _total(line) for problem, line in refusals.items()})
    found = [(problem, count) for problem, count in counts.most_common(MOST_REASONS) if count]
    return [Reason(problem, count, share(count, found[0][1])) for problem, count in found]


def _buckets(merged: Merged) -> dict[float, Line]:
    """What commands of orders took, by upper bound in seconds; how many took no longer."""
    found = merged.by("le", "cludale_http_request_seconds_bucket_total", ("orders",))
    return {float(bound): line for bound, line in sorted(found.items(), key=lambda item: float(item[0]))}


def _quantiles(buckets: Mapping[float, Line], since: int, until: int) -> Quantiles:
    counts = [(bound, sum(each or 0 for each in line[since:until])) for bound, line in buckets.items()]
    return Quantiles(_quantile(counts, 0.5), _quantile(counts, 0.99))


def _quantile(counts: Sequence[tuple[float, float]], part: float) -> float | None:
    """The quantile in milliseconds.

    Values are taken to be spread evenly in a bucket; the last one has no end, so its beginning counts.
    """
    whole = counts[-1][1] if counts else 0
    if not whole:
        return None
    wanted, below, before = whole * part, 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            if bound == float("inf"):
                return _milliseconds(below)
            return _milliseconds(below + (bound - below) * (wanted - before) / ((count - before) or 1))
        below, before = bound, count
    return _milliseconds(below)


def _milliseconds(seconds: float) -> float:
    found = seconds * 1000
    return round(found) if found >= 10 else round(found, 1)


def _plus(known: float, value: float) -> float:
    return known + value


def _added(lines: Iterable[Line]) -> Line:
    found: Line = [None] * STEPS
    for line in lines:
        found = [b if a is None else a if b is None else a + b for a, b in zip(found, line, strict=True)]
    return found


def _greater(one: Line, other: Line) -> Line:
    return [b if a is None else a if b is None else max(a, b) for a, b in zip(one, other, strict=True)]


def _per_second(line: Line) -> Line:
    return [None if each is None else each / STEP_SECONDS for each in line]


def _rate(line: Line) -> float:
    """A second, of now."""
    found = sum(each or 0 for each in line[-NOW_STEPS:]) / (NOW_STEPS * STEP_SECONDS)
    return round(found) if found >= 10 else round(found, 1)


def _total(line: Line) -> int:
    return int(sum(each or 0 for each in line))


def _last(line: Line) -> float:
    return next((each for each in reversed(line[-NOW_STEPS:]) if each is not None), 0)
