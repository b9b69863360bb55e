"""A server that was killed over a large store is back soon, and has everything."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import httpx
import pytest
from tests.proof.faults.crowd import Crowd
from tests.proof.faults.experiment import Faults, Figures, Scale
from tests.proof.faults.filling import EVENTS_AN_ORDER, PATIENCE_SECONDS
from tests.proof.faults.judging import lost, rows, settled
from tests.proof.faults.victims import PROJECT, Stillborn, dead, stopped, victim
from tests.served import environment

STARTS = 3
TIMES_AN_EMPTY_ONE = 2
"""How much longer a start over a large store may take than one over an empty store, which is timed after it: whatever
machine this is, and whatever runs beside it."""


@pytest.mark.slow
def test_killed_over_a_large_store_it_is_ready_in_two_seconds_and_has_everything(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    fault = "SIGKILL over a large store, under load"
    faults.expect(fault)
    folder, orders = tmp_path / "data", scale.of_three(1_000, 6_000, 145_000)
    subprocess.run(
        [sys.executable, "-m", "tests.proof.faults.filling", str(folder), str(orders)],
        cwd=PROJECT,
        check=True,
        timeout=PATIENCE_SECONDS + 60,
    )
    crowd = Crowd(["full"], seed=seed, regretting=0.0)
    seconds: list[float] = []
    empty: list[float] = []

    def is_soon() -> bool:
        return median(seconds) < (2.0 if scale is Scale.FULL else TIMES_AN_EMPTY_ONE * median(empty))

    for start in faults.turns(STARTS, until=is_soon):
        try:
            with victim(folder, life_seconds=2.5) as served:
                crowd.rush(served, 100_000, connections=64)
                faults.fire(fault, dead(served) == -signal.SIGKILL)
        except Stillborn as stillborn:
            faults.fire(fault, stillborn.status == -signal.SIGKILL)
        seconds.append(ready_after(folder))
        empty.append(ready_after(tmp_path / f"empty-{start}"))
    with victim(folder) as served:
        crowd.ask_again(served)
        report = settled(folder, crowd.observations)
        stopped(served)
    assert not lost(folder, crowd.accepted)
    ((events,),) = rows(folder, "SELECT max(n) FROM audit_event")
    assert events > orders * EVENTS_AN_ORDER
    figures.row(
        "restart",
        events=events,
        store_mib=round((folder / "cludale.db").stat().st_size / 2**20),
        starts=len(seconds),
        ready_s=f"{median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})",
        confirmed=len(crowd.accepted) + orders,
        lost=0,
        check_s=round(report.seconds, 1),
    )
    assert is_soon()


def ready_after(folder: Path) -> float:
    """Seconds from starting the process to a `GET /readyz` that says 200. It is killed then."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    began = perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "cludale_operations", "serve"],
        cwd=PROJECT,
        env=environment(folder, CLUDALE_PORT=str(port)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            while perf_counter() - began < 60:
                try:
                    if http.get("/readyz").status_code == 200:
                        return perf_counter() - began
                except httpx.TransportError:
                    sleep(0.005)
        raise AssertionError("it was not ready after a minute")
    finally:
        process.kill()
        process.wait(timeout=60)
