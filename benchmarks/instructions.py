"""How many instructions the server needs for an order, of this checkout and of others.

    python -m benchmarks.instructions --against ../before

Seconds of CPU differ by a tenth with what else the machine does; instructions don't. Each server runs under Valgrind's
callgrind, which counts those of its process, in the kernel none: reading, writing and fsync are not in the figures. It
runs some fifty times slower meanwhile, so what timers do by themselves in that time is counted apart and taken off.
Needs `valgrind`.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import ClassVar, NamedTuple

import msgspec
from rich.console import Console

from benchmarks import generator, machine
from benchmarks.checkout import Checkout
from benchmarks.generator import Orders, Reservations
from benchmarks.onsale import show, write
from benchmarks.processes import cpu_nanoseconds
from benchmarks.server import Server, Wrong

WARM_UP = 200
IDLE_SECONDS = 10
_PATIENCE_SECONDS = 600
_LOOK_SECONDS = 1.0
_QUIET_SHARE = 0.3
"""Of one core: less than this, second by second, is a server that has only its timers left to do."""


class Kind(NamedTuple):
    """What is asked for."""

    name: str
    with_keys: bool = False
    holds: bool = False
    """Reservations alone."""


KINDS = (Kind("order without a key"), Kind("order with a key", with_keys=True), Kind("reservation", holds=True))


class Cell(msgspec.Struct, frozen=True):
    """What one server needed for each of a kind, in thousands of instructions, round by round."""

    kind: str
    side: str
    thousands: list[float]


class CountedServer(Server):
    """The server under callgrind. Instructions count from `begin` until `end`."""

    START_SECONDS: ClassVar = 300

    def _started(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> float:
        out = f"--callgrind-out-file={self.data}/counted"
        return super()._started(
            ["valgrind", "--tool=callgrind", "--instr-atstart=no", out, *command], environment, folder
        )

    def begin(self) -> None:
        """Count from here on."""
        self._control("--instr=on")
        self._control("--zero")

    def end(self, keep: Path | None = None) -> int:
        """How many instructions since `begin`; the profile by function of C goes to `keep`."""
        before = set(self.data.glob("counted*"))
        self._control("--dump")
        (dump,) = set(self.data.glob("counted*")) - before
        self._control("--instr=off")
        text = dump.read_text()
        if keep is not None:
            keep.write_text(text)
        (totals,) = (line for line in text.splitlines() if line.startswith("totals:"))
        return int(totals.split()[1])

    def _control(self, wanted: str) -> None:
        subprocess.run(["callgrind_control", wanted, str(self.pid)], check=True, capture_output=True, timeout=60)


def instructions(server: CountedServer, kind: Kind, *, count: int, connections: int, keep: Path | None = None) -> float:
    """For each of so many, until all that follows is done; what timers do by themselves is taken off. Raises Wrong."""
    concert_id = server.put_on_concert(count)
    task: Orders | Reservations
    if kind.holds:
        task = Reservations(
            url=server.url, count=count, connections=connections, concert_id=concert_id, organizer_key=server.key,
            timeout_seconds=_PATIENCE_SECONDS,
        )  # fmt: skip
    else:
        task = Orders(
            url=server.url, count=count, connections=connections, concert_id=concert_id, with_keys=kind.with_keys,
            timeout_seconds=_PATIENCE_SECONDS,
        )  # fmt: skip
    began = monotonic()
    server.begin()
    report = generator.run(task)
    _quiet(server)
    used, seconds = server.end(keep), monotonic() - began
    if report.succeeded != count:
        raise Wrong(f"{kind.name}: {report.others}\n{server.log()}")
    if not kind.holds:
        server.check_orders(concert_id, count)
    return (used - idle(server) * seconds) / count


def idle(server: CountedServer) -> float:
    """Instructions a second of a server that nobody asks anything."""
    began = monotonic()
    server.begin()
    sleep(IDLE_SECONDS)
    used = server.end()
    return used / (monotonic() - began)


def _quiet(server: Server) -> None:
    """Wait until it has nothing left to do, by its CPU: each question would count, too. Raises Wrong."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while monotonic() < deadline:
        used = cpu_nanoseconds(server.pid)
        sleep(_LOOK_SECONDS)
        if cpu_nanoseconds(server.pid) - used < _QUIET_SHARE * _LOOK_SECONDS * 1e9:
            return
    raise Wrong(f"not quiet after {_PATIENCE_SECONDS} s")
