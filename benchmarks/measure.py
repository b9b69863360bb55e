"""One measurement: a load at the server, what both sides used meanwhile, and whether the counts are exact."""

import os
from pathlib import Path
from time import perf_counter, sleep
from typing import NamedTuple, Self

import msgspec

from benchmarks import generator
from benchmarks.generator import Orders, Report, Reservations, Signs
from benchmarks.processes import TICK
from benchmarks.server import Server, Wrong

_POLL_SECONDS = 0.02
_QUIET_SECONDS = 300


class Measured(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one load came to. CPU in microseconds for each that succeeded, latencies in milliseconds."""

    what: str
    connections: int
    succeeded: int
    others: dict[str, int]
    """Answers that were no success, and requests without one, by what they were."""
    answer_seconds: float
    """From the first request to the last answer."""
    complete_seconds: float
    """From the first request until everything that follows was done: paid, notified and audited."""
    per_second: float
    """Successes over `complete_seconds` for orders, over `answer_seconds` for the others."""
    server_cpu_us: float
    server_main_thread_cpu_us: float
    generator_cpu_us: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    largest_ms: float | None
    server_memory_mib: float
    others_cpu_percent: float
    """Of the machine's CPU meanwhile, what went to neither server nor generator: a noisy machine shows here."""


class Usage(NamedTuple):
    """CPU seconds since the machine started: what there were, what was used, and what of it was used by us."""

    all: float
    busy: float
    ours: float

    @classmethod
    def now(cls, server: Server) -> Self:
        """As of now; ours are this process, the generators that have ended, and the server."""
        fields = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, idle, waiting, *interrupts_and_stolen = fields
        busy = user + nice + system + sum(interrupts_and_stolen)
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        return cls((busy + idle + waiting) * TICK, busy * TICK, own + server.cpu().process)

    def others_percent(self, earlier: "Usage") -> float:
        """What others used in between, of all that there was."""
        others = self.busy - earlier.busy - (self.ours - earlier.ours)
        return max(0.0, 100 * others / max(self.all - earlier.all, TICK))


def orders(server: Server, *, count: int, connections: int, with_keys: bool = True, traced: bool = False) -> Measured:
    """Complete orders at one hot concert, from `POST /orders` until the last is Paid, notified and audited.

    Each is sent with an `Idempotency-Key`, unless without keys; `traced`, with a trace context whose flag says sampled.
    """
    concert_id = server.put_on_concert(count)
    task = Orders(
        url=server.url,
        count=count,
        connections=connections,
        concert_id=concert_id,
        with_keys=with_keys,
        traced=traced,
    )
    what = f"orders at {connections}" if with_keys else f"no key, at {connections}"
    measured = _measure(server, what, task, events_each=server.EVENTS_AN_ORDER)
    server.check_orders(concert_id, measured.succeeded)
    return measured


def orders_at(server: Server, what: str, task: Orders) -> Measured:
    """Complete orders at a concert that is there."""
    measured = _measure(server, what, task, events_each=server.EVENTS_AN_ORDER)
    server.check_orders(task.concert_id, measured.succeeded, quantity=task.quantity)
    return measured


def reservations_at(server: Server, what: str, task: Reservations) -> Measured:
    """Reservations alone, at a concert that is there."""
    measured = _measure(server, what, task, events_each=1)
    held = server.get(f"/concerts/{task.concert_id}")["heldSeats"]
    if held != measured.succeeded * task.quantity:
        raise Wrong(f"{held} seats held by {measured.succeeded} reservations")
    return measured


def reservations(server: Server, *, count: int, connections: int) -> Measured:
    """Reservations alone, from the request until the answer, which is durable."""
    concert_id = server.put_on_concert(count)
    task = Reservations(
        url=server.url, count=count, connections=connections, concert_id=concert_id, organizer_key=server.key
    )
    measured = _measure(server, f"reservations at {connections}", task, events_each=1)
    held = server.get(f"/concerts/{concert_id}")["heldSeats"]
    if held != measured.succeeded:
        raise Wrong(f"{held} seats held, {measured.succeeded} reserved")
    return measured


def signs_of_life(server: Server, *, count: int, connections: int) -> Measured:
    """`GET /livez`: what this machine, this server and this generator can do at most."""
    task = Signs(url=server.url, count=count, connections=connections)
    return _measure(server, f"livez at {connections}", task, events_each=0)


def quiet(server: Server, *, published: float) -> float:
    """Wait until so many events were ever published and all are delivered everywhere; when that was seen."""
    deadline = perf_counter() + _QUIET_SECONDS
    while True:
        progress = server.progress()
        now = perf_counter()
        if progress.published >= published and not progress.left:
            return now
        if now > deadline:
            raise Wrong(f"not quiet after {_QUIET_SECONDS} s: {progress.published} of {published}")
        sleep(_POLL_SECONDS)


def sent(server: Server, task: Orders, *, events_each: int) -> Report:
    """The report of a load, when all that follows from it is done."""
    before = server.progress().published
    report = generator.run(task)
    quiet(server, published=before + events_each * report.succeeded)
    return report


def _measure(server: Server, what: str, task: Orders | Reservations | Signs, *, events_each: int) -> Measured:
    before = server.progress().published
    cpu_before, usage_before = server.cpu(), Usage.now(server)
    report = generator.run(task)
    succeeded = report.succeeded
    if not succeeded:
        raise Wrong(f"{what}: nothing succeeded: {report.others}\n{server.log()}")
    completed = quiet(server, published=before + events_each * succeeded) if events_each else report.ended
    used, usage = server.cpu().since(cpu_before), Usage.now(server)
    answer_seconds, complete_seconds = report.ended - report.began, completed - report.began
    seconds = complete_seconds if isinstance(task, Orders) else answer_seconds
    return Measured(
        what=what,
        connections=task.connections,
        succeeded=succeeded,
        others=report.others,
        answer_seconds=round(answer_seconds, 3),
        complete_seconds=round(complete_seconds, 3),
        per_second=round(succeeded / seconds, 1),
        server_cpu_us=round(used.process / succeeded * 1e6, 1),
        server_main_thread_cpu_us=round(used.main_thread / succeeded * 1e6, 1),
        generator_cpu_us=round(report.cpu_seconds / _sent(report) * 1e6, 1),
        p50_ms=report.p50_ms,
        p95_ms=report.p95_ms,
        p99_ms=report.p99_ms,
        largest_ms=report.largest_ms,
        server_memory_mib=round(server.memory_mib()[0], 1),
        others_cpu_percent=round(usage.others_percent(usage_before), 1),
    )


def _sent(report: Report) -> int:
    return report.succeeded + sum(report.others.values())
