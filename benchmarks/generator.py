"""The load, in a process of its own: `python -m benchmarks.generator` reads a task as JSON and answers in JSON.

Before that it prints a line a second: how many are answered.
"""

import asyncio
import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from uuid import uuid4

import msgspec
import uvloop

from benchmarks.machine import PROJECT
from cludale.web.http1 import Target
from cludale_proof.rehearsal.keys import NUMBER, marked_key, of_buyer
from cludale_proof.rehearsal.latencies import Latencies
from cludale_proof.rehearsal.load import Load, Tally

_SAMPLE_SECONDS = 1.0


class Task(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What to send, how often, over how many connections at once."""

    url: str
    count: int
    connections: int
    timeout_seconds: float = 30.0


class Orders(Task, frozen=True, kw_only=True):
    """One ticket each: `POST /orders`."""

    concert_id: str
    with_keys: bool = True
    """Has each an `Idempotency-Key` of its own, as clients are told to send?"""
    keys_in_no_order: bool = False
    """Are they UUIDs of version 4 instead of 7?"""
    traced: bool = False
    """Has each a trace of its own that its sender wants to have recorded?"""
    with_contact: bool = False
    """Has each an e-mail address and a phone number of its own?"""
    quantity: int = 1
    seats: list[list[str]] = []
    """The seats that each names; none: they are chosen."""


class Reservations(Task, frozen=True, kw_only=True):
    """One seat each: `POST /concerts/{id}/reserve`."""

    concert_id: str
    organizer_key: str
    quantity: int = 1


class Signs(Task, frozen=True, kw_only=True):
    """Signs of life: `GET /livez`, the least that this server can be asked."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `began` and `ended` are CLOCK_MONOTONIC, so other processes' perf_counter compares."""

    began: float
    ended: float
    cpu_seconds: float
    statuses: dict[int, int]
    errors: dict[str, int]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    largest_ms: float | None

    @property
    def succeeded(self) -> int:
        """How many were answered with 2xx."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    @property
    def others(self) -> dict[str, int]:
        """What was answered otherwise or not at all."""
        return {str(status): count for status, count in self.statuses.items() if not 200 <= status < 300} | self.errors


def run(task: Orders | Reservations | Signs, watch: Callable[[int], None] | None = None) -> Report:
    """Have a new process carry out `task`; `watch` is told once a second how many are answered.

    The process ends by itself: every request has its timeout.
    """
    command = [sys.executable, "-m", "benchmarks.generator"]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("pipes were asked for")
        process.stdin.write(msgspec.json.encode(task))
        process.stdin.close()
        report = b""
        for line in process.stdout:
            if line.startswith(b"{"):
                report = line
            elif watch is not None:
                watch(int(line))
    if process.returncode:
        raise RuntimeError(f"the generator ended with status {process.returncode}")
    return msgspec.json.decode(report, type=Report)


async def _carry_out(task: Orders | Reservations | Signs) -> Tally:
    load = Load(
        Target.of(task.url), _requests(task), connections=task.connections, timeout_seconds=task.timeout_seconds
    )
    # Nothing here makes cycles; a pause to look for them would be measured as the server's.
    gc.freeze()
    gc.disable()
    samples = asyncio.create_task(_say_how_far(load.tally))
    try:
        return await load.run()
    finally:
        samples.cancel()


async def _say_how_far(tally: Tally) -> None:
    while True:
        await asyncio.sleep(_SAMPLE_SECONDS)
        print(tally.answered, flush=True)


def _requests(task: Orders | Reservations | Signs) -> Iterator[bytes]:
    target = Target.of(task.url)
    if isinstance(task, Signs):
        request = target.request("GET", "/livez")
        for _ in range(task.count):
            yield request
    elif isinstance(task, Reservations):
        authorization = {"authorization": f"Bearer {task.organizer_key}"}
        request = target.request(
            "POST", f"/concerts/{task.concert_id}/reserve", b'{"quantity":%d}' % task.quantity, authorization
        )
        for _ in range(task.count):
            yield request
    else:
        contact = {"email": f"buyer-{NUMBER}@example.org", "phone": f"+4917{NUMBER}"} if task.with_contact else {}
        body = {"concertId": task.concert_id, "userId": f"buyer-{NUMBER}", "quantity": task.quantity, **contact}
        wanted = msgspec.json.encode(body)
        headers = {}
        if task.with_keys:
            headers["idempotency-key"] = f"{str(uuid4())[:-8]}{NUMBER}" if task.keys_in_no_order else marked_key()
        if task.traced:
            headers["traceparent"] = f"00-{uuid4().hex[:-8]}{NUMBER}-00f067aa0ba902b7-01"
        template = target.request("POST", "/orders", wanted, headers)
        for buyer, seats in enumerate(task.seats):
            named = msgspec.json.encode({**body, "seats": seats})
            yield of_buyer(target.request("POST", "/orders", named, headers), buyer)
        for buyer in range(0 if task.seats else task.count):
            yield of_buyer(template, buyer)


def main() -> None:
    """Read the task, carry it out, print the report."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders | Reservations | Signs)
    tally = uvloop.run(_carry_out(task))
    latencies = Latencies.merged(tally.latencies.values())

    def milliseconds(share: float) -> float | None:
        seconds = latencies.quantile(share)
        return None if seconds is None else round(seconds * 1000, 3)

    report = Report(
        began=tally.began,
        ended=tally.ended,
        cpu_seconds=tally.cpu_seconds,
        statuses=tally.statuses,
        errors=tally.errors,
        p50_ms=milliseconds(0.5),
        p95_ms=milliseconds(0.95),
        p99_ms=milliseconds(0.99),
        largest_ms=milliseconds(1.0),
    )
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")


if __name__ == "__main__":
    main()
