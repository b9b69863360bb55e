"""SIGKILL and power cuts at the worst moments, on the real process and real files."""

import shutil
import signal
from pathlib import Path
from random import Random

import pytest
from tests.proof.faults.crashing import CHECKPOINT, POINTS, POWER_CUT, STORE
from tests.proof.faults.experiment import Faults, Figures, Scale
from tests.proof.faults.ordeal import Death, Ordeal
from tests.proof.faults.victims import doomed, strace

KILLED = -signal.SIGKILL
TOLD_TOO_EARLY = Death(-signal.SIGTERM, confirmed=0)
"""By a signal that came before the server listened for any, as on a busy machine."""
AT_ONCE = 1e-6
"""A grace time in seconds."""


@pytest.mark.timeout(400)  # among the longest: its file begins early
@pytest.mark.slow
def test_killed_at_every_named_point_it_goes_on_where_it_was(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    ordeal, random = Ordeal(tmp_path / "data", seed=seed), Random(seed)
    record = tmp_path / "record"
    for point in scale.some_of(random, list(POINTS), quick=4):
        meaning = POINTS[point].meaning
        fault = f"SIGKILL when {meaning}"
        faults.expect(fault)
        for _ in range(scale.of_three(1, 1, 8)):
            death = ordeal.die(program=doomed(point, random.randint(1, 40), record))
            assert death.status == KILLED
            faults.fire(fault, record.read_text().count(point))
            record.unlink()
            ordeal.look()
    write_down(figures, "SIGKILL at named points", faults, confirmed=ordeal.end())


@pytest.mark.slow
def test_killed_in_mid_checkpoint_it_goes_on_where_it_was(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    ordeal, random = Ordeal(tmp_path / "data", seed=seed), Random(seed)
    record = tmp_path / "record"
    running, starting = "SIGKILL in mid checkpoint", "SIGKILL in the checkpoint that a start after a crash begins with"
    faults.expect(running)
    faults.expect(starting)
    for _ in range(scale.of_three(1, 1, 8)):
        for fault in (running, starting):
            # A store that was closed in order has no log to work in when it is opened, so this one dies later.
            death = ordeal.die(program=doomed(CHECKPOINT, random.randint(1, 60), record))
            assert death.status == KILLED
            faults.fire(fault, record.read_text().count(CHECKPOINT))
            record.unlink()
            ordeal.look()
        ordeal.end()
    write_down(figures, "SIGKILL in mid checkpoint", faults, confirmed=ordeal.end())


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_where_it_was(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    ordeal, random = Ordeal(tmp_path / "data", seed=seed), Random(seed)
    fault = "SIGKILL at a random moment, of starting or of an on-sale"
    faults.expect(fault)
    for _ in range(scale.of_three(3, 3, 50)):
        death = ordeal.die(life_seconds=random.uniform(0.3, 3))
        faults.fire(fault, death.status == KILLED)
        ordeal.look()
    write_down(figures, "SIGKILL at random moments", faults, confirmed=ordeal.end())


@pytest.mark.slow
def test_told_to_end_under_load_and_killed_before_it_could_it_goes_on_where_it_was(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    ordeal, random = Ordeal(tmp_path / "data", seed=seed), Random(seed)
    cut_short, ended = "SIGTERM under load, SIGKILL before it was done", "SIGTERM under load, ended by itself in time"
    faults.expect(cut_short)
    faults.expect(ended)
    for turn in faults.turns(scale.of_three(2, 4, 24)):
        # Now and then the signals come right after each other: on a busy machine even 20 ms may be enough to end.
        grace = (30.0, AT_ONCE, 30.0, random.uniform(0, 0.02))[turn % 4]
        life = random.uniform(0.2, 1.5)
        death = ordeal.die(life_seconds=life, grace_seconds=grace)
        if death == TOLD_TOO_EARLY:
            death = ordeal.die(life_seconds=10 * life, grace_seconds=grace)
        assert death.status in (KILLED, 0)
        faults.fire(cut_short if death.status == KILLED else ended)
        ordeal.look()
    write_down(figures, "SIGTERM, then SIGKILL", faults, confirmed=ordeal.end())


@pytest.mark.slow
def test_when_the_power_goes_the_whole_platform_goes_on_where_it_was(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    ordeal, random = Ordeal(tmp_path / "data", seed=seed), Random(seed)
    fault = "power cut during an on-sale, in the server's own process"
    faults.expect(fault)
    record = tmp_path / "record"
    left = Path(f"{record}.disk")
    for _ in range(scale.of_three(2, 2, 60)):
        death = ordeal.die(program=doomed(POWER_CUT, random.randint(1, 12_000), record))
        assert death.status == KILLED
        faults.fire(fault, record.read_text().count(POWER_CUT))
        record.unlink()
        for lying in ordeal.folder.glob(f"{STORE}*"):
            lying.unlink()
        shutil.copytree(left, ordeal.folder, dirs_exist_ok=True)
        shutil.rmtree(left)
        ordeal.look()
    write_down(figures, "power cut at random writes", faults, confirmed=ordeal.end())


@pytest.mark.slow
def test_killed_at_its_nth_write_it_goes_on_where_it_was(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    ordeal, random = Ordeal(tmp_path / "data", seed=seed), Random(seed)
    fault = "SIGKILL at the Nth write to the store (strace)"
    faults.expect(fault)
    log = tmp_path / "strace.log"
    for _ in range(scale.of_three(2, 2, 40)):
        nth = random.randint(1, 4_000)
        under = strace(
            log,
            calls="pwrite64",
            inject=f"pwrite64:signal=SIGKILL:when={nth}",
            paths=[ordeal.folder / STORE, ordeal.folder / f"{STORE}-wal"],
        )
        death = ordeal.die(under=under)
        assert death.status == KILLED
        faults.fire(fault, log.read_text().count("+++ killed by SIGKILL +++") > 0)
        ordeal.look()
    write_down(figures, "SIGKILL at the Nth write", faults, confirmed=ordeal.end())


def write_down(figures: Figures, how: str, faults: Faults, *, confirmed: int) -> None:
    figures.row("crashes", how=how, deaths=sum(faults.fired.values()), confirmed=confirmed, lost=0)
