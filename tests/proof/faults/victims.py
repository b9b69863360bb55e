"""A server that is about to be hurt: started as `cludale serve`, or under something that will hurt it."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

from tests.parts import need
from tests.served import Served, environment

PROJECT = Path(__file__).resolve().parents[3]
STARTED_SECONDS = 60
DEAD_SECONDS = 60

HASTE = {
    "CLUDALE_HOLD_SECONDS": "3",
    "CLUDALE_SWEEP_SECONDS": "0.2",
    "CLUDALE_PAYMENT_ATTEMPT_SECONDS": "1",
    "CLUDALE_PAYMENT_SLOW_SECONDS": "0.2",
    "CLUDALE_PAYMENT_BACKOFF_SECONDS": "0.05",
    "CLUDALE_PAYMENT_BACKOFF_MAX_SECONDS": "0.5",
    "CLUDALE_DELIVERY_BACKOFF_SECONDS": "0.02",
    "CLUDALE_DELIVERY_BACKOFF_MAX_SECONDS": "0.5",
    "CLUDALE_LOG_LEVEL": "error",
}
"""Holds and waits so short that everything comes to its end within seconds of a crash."""


class Stillborn(Exception):
    """The server ended before it served."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it ended with status {status} before it served")
        self.status = status


@contextmanager
def victim(
    folder: Path,
    *,
    under: Sequence[str] = (),
    program: Sequence[str] = ("-m", "cludale_operations"),
    settings: Mapping[str, str] = HASTE,
    life_seconds: float | None = None,
    grace_seconds: float = 0.0,
) -> Iterator[Served]:
    """The server over `folder`, on a free port; what it logs goes to `<folder>.log`. Raises Stillborn.

    It is killed `life_seconds` after its start, whatever it does then. With `grace_seconds` it is told to end so long
    after it has begun to serve, and killed if that takes longer than the grace.
    """
    with Path(f"{folder}.log").open("ab") as log:
        process = subprocess.Popen(
            [*under, sys.executable, *program, "serve"],
            cwd=PROJECT,
            env=environment(folder, **settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def end() -> None:
        if grace_seconds:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace_seconds)
        process.kill()

    impatience, death = Timer(STARTED_SECONDS, process.kill), Timer(life_seconds or 0, end)
    impatience.start()
    if life_seconds is not None and not grace_seconds:
        death.start()
    try:
        assert process.stdout is not None
        greeting = next((line for line in process.stdout if " on http://" in line), "")
        impatience.cancel()
        if not greeting:
            raise Stillborn(process.wait(timeout=DEAD_SECONDS))
        served = Served(process, greeting.split(" on ")[1].split(" ")[0].strip(), folder)
        if life_seconds is not None and grace_seconds:
            death.start()
        try:
            yield served
        finally:
            served.http.close()
    finally:
        impatience.cancel()
        death.cancel()
        process.kill()
        process.wait(timeout=DEAD_SECONDS)
        assert process.stdout is not None
        process.stdout.close()


def doomed(point: str, turn: int, record: Path) -> Sequence[str]:
    """The program that dies at a named point (see crashing.py), for `victim`."""
    return ("-m", "tests.proof.faults.crashing", point, str(turn), str(record))


def strace(log: Path, *, calls: str, inject: str, paths: Sequence[Path] = ()) -> Sequence[str]:
    """The command that goes before the server's to have system calls fail, for `victim`."""
    program = need("strace")
    of_paths = [part for path in paths for part in ("-P", str(path))]
    # -D: the server is our child, strace watches from the side. --seccomp-bpf would drop the signals that are injected.
    return (
        *(str(program), "-D", "-f", "-qq", "-o", str(log)),
        *("-e", f"trace={calls}", "-e", f"inject={inject}", *of_paths),
    )


def dead(served: Served) -> int:
    """Its exit status once it has ended; an error if it doesn't. -9 is SIGKILL."""
    return served.process.wait(timeout=DEAD_SECONDS)


def stopped(served: Served) -> int:
    """Stop it in an orderly way; its exit status."""
    served.process.send_signal(signal.SIGTERM)
    return dead(served)
