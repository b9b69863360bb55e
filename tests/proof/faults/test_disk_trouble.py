"""The disk fails, is full, or is locked: what was acknowledged stays, and what can't be kept is not taken."""

import resource
import signal
from pathlib import Path
from random import Random
from time import monotonic

import httpx
import pytest
from tests.patience import eventually
from tests.proof.faults.crashing import STORE
from tests.proof.faults.crowd import Crowd
from tests.proof.faults.experiment import Faults, Figures, Scale
from tests.proof.faults.judging import lost, safe, settled
from tests.proof.faults.ordeal import Ordeal
from tests.proof.faults.trouble import locked, small_disk
from tests.proof.faults.victims import dead, stopped, strace, victim
from tests.served import Served

KILLED, CANNOT_START = -signal.SIGKILL, 2
CALLS = {"fdatasync": 60, "pwrite64": 3_000}
"""What a store's files are written with, and up to which call of it a failure comes."""
MOST_BUYERS = 20_000
"""Until a disk is full; the orders of some 1,200 fill one of 24 MiB."""


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
@pytest.mark.slow
def test_a_failing_disk_ends_the_process_and_the_next_start_has_all_that_was_acknowledged(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures, call: str
) -> None:
    ordeal, random = Ordeal(tmp_path / "data", seed=seed), Random(seed)
    fault = f"EIO from the Nth {call} of the store (strace)"
    faults.expect(fault)
    log = tmp_path / "strace.log"
    for _ in range(scale.of_three(1, 1, 20)):
        nth = random.randint(1, CALLS[call])
        under = strace(
            log,
            calls=call,
            inject=f"{call}:error=EIO:when={nth}",
            paths=[ordeal.folder / STORE, ordeal.folder / f"{STORE}-wal"],
        )
        death = ordeal.die(under=under)
        # A failure while it starts is told to whoever starts it; one while it runs leaves nothing to tell.
        assert death.status in (KILLED, CANNOT_START)
        faults.fire(fault, log.read_text().count("(INJECTED)"))
        ordeal.look()
    write_down(figures, f"{call} fails", faults, confirmed=ordeal.end())


@pytest.mark.slow
def test_a_full_disk_turns_buyers_away_and_with_room_again_it_goes_on_by_itself(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    fault = "disk full (tmpfs)"
    faults.expect(fault)
    confirmed = 0
    for turn in range(scale.of_three(1, 1, 6)):
        folder = tmp_path / f"data-{turn}"
        with small_disk(folder, mebibytes=48):
            ballast = folder / "ballast"
            ballast.write_bytes(bytes(24 * 2**20))
            crowd = Crowd(["c-large"], seed=seed + turn)
            with victim(folder) as served:
                served.concert("c-large", seats=1_000_000)
                while not crowd.statuses[503] and crowd.came < MOST_BUYERS:
                    crowd.rush(served, 500)
                faults.fire(fault, crowd.statuses[503])
                away = next(filter(None, (turned_away(served) for _ in range(20))), None)
                assert away is not None, "the disk was not full"
                assert away.headers["retry-after"]
                assert served.process.poll() is None
                safe(folder, crowd.observations)
                assert not lost(folder, crowd.accepted)
                assert readable(served, crowd)
                ballast.unlink()
                assert eventually(lambda: turned_away(served) is None)
                before = len(crowd.accepted)
                crowd.rush(served, 200)
                assert len(crowd.accepted) > before
                settled(folder, crowd.observations)
                assert not lost(folder, crowd.accepted)
                stopped(served)
            confirmed += len(crowd.accepted)
    write_down(figures, "disk full", faults, confirmed=confirmed)


def turned_away(served: Served) -> httpx.Response | None:
    """An organizer's try to put a concert on: the answer, if it is 503."""
    wanted = {"artist": "A", "date": "2099-06-05", "totalSeats": 1, "price": {"amount": 1, "currency": "EUR"}}
    answer = served.http.post("/concerts", json=wanted, headers=served.organizer)
    assert answer.status_code in (201, 503), answer.text
    return answer if answer.status_code == 503 else None


def readable(served: Served, crowd: Crowd) -> bool:
    order = next(iter(crowd.accepted))
    return served.http.get(f"/orders/{order}", headers=served.organizer).status_code == 200


@pytest.mark.slow
def test_a_file_that_may_not_grow_ends_the_process_and_the_next_start_has_all_that_was_acknowledged(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    ordeal, random = Ordeal(tmp_path / "data", seed=seed), Random(seed)
    fault = "no more room for a file (RLIMIT_FSIZE)"
    faults.expect(fault)
    for _ in range(scale.of_three(1, 1, 15)):
        room = random.randint(100, 4_000) * 1024
        with victim(ordeal.folder) as served:
            largest = max(path.stat().st_size for path in ordeal.folder.iterdir())
            resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (largest + room, largest + room))
            ordeal.crowd.rush(served, 4_000)
            faults.fire(fault, dead(served) == KILLED)
        ordeal.look()
    write_down(figures, "no more room for a file", faults, confirmed=ordeal.end())


@pytest.mark.slow
def test_a_store_that_another_process_locks_turns_buyers_away_and_loses_nothing(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    folder, crowd = tmp_path / "data", Crowd(["c-large"], seed=seed, regretting=0.0)
    fault = "locked by another process past the busy timeout"
    faults.expect(fault)
    with victim(folder) as served:
        served.concert("c-large", seats=1_000_000)
        for _ in range(scale.of_three(1, 1, 5)):
            crowd.rush(served, 100)
            with locked(folder / STORE):
                began = monotonic()
                before = len(crowd.accepted)
                tally = crowd.rush(served, 50, connections=50)
                waited = monotonic() - began
                away = turned_away(served)
                assert away is not None
                assert away.headers["retry-after"]
                assert tally.statuses == {503: 50}, tally.statuses
                assert len(crowd.accepted) == before
                # The busy timeout is 5 s, and a buyer waits for two of them at most: the turn before, and its own.
                assert waited < 13
                assert readable(served, crowd)
            faults.fire(fault, 51)
            assert eventually(lambda: turned_away(served) is None)
        crowd.rush(served, 100)
        crowd.ask_again(served)
        settled(folder, crowd.observations)
        assert not lost(folder, crowd.accepted)
        stopped(served)
    write_down(figures, "locked by another process", faults, confirmed=len(crowd.accepted))


def write_down(figures: Figures, trouble: str, faults: Faults, *, confirmed: int) -> None:
    figures.row("disk trouble", trouble=trouble, times=sum(faults.fired.values()), confirmed=confirmed, lost=0)
