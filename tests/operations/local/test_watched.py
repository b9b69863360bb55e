"""Parts that are kept running."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.patience import until

from cludale_operations.local.part import Launch, Part, PartFailed
from cludale_operations.local.watched import State, Watched


class Sleeper(Part):
    """A process that does nothing, well."""

    program = "import time; time.sleep(60)"

    def __init__(self, folder: Path) -> None:
        super().__init__("sleeper", folder / "sleeper.log")

    async def prepare(self) -> None:
        pass

    def launch(self) -> Launch:
        return Launch([sys.executable, "-c", self.program])

    async def is_ready(self) -> bool:
        return self.pid is not None


class Failing(Sleeper):
    program = "print('nothing works'); raise SystemExit(3)"

    async def is_ready(self) -> bool:
        return False


class Orderly(Sleeper):
    starts = 0
    program = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); print('up', flush=True); "
        "time.sleep(60)"
    )

    async def is_ready(self) -> bool:
        return self.pid is not None and self.log.exists() and self.log.read_text().count("up") == self.starts

    async def prepare(self) -> None:
        self.starts += 1


class Stubborn(Sleeper):
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    stop_seconds = 0.3

    async def is_ready(self) -> bool:
        return self.log.exists() and "up" in self.log.read_text()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def watched(tmp_path: Path, said: list[str]) -> AsyncIterator[Watched]:
    kept = Watched(Sleeper(tmp_path), said.append, lambda: None)
    await kept.start()
    yield kept
    await kept.stop()


async def test_a_killed_part_is_started_again_and_it_is_said(watched: Watched, said: list[str]) -> None:
    first = watched.part.pid
    watched.part.signal(signal.SIGKILL)
    await until(lambda: watched.restarts == 1 and watched.state is State.READY)
    assert watched.part.pid not in {None, first}
    assert "sleeper ended (signal 9), started again in 0.5 s" in said
    assert said[-1] == "sleeper is ready again"


async def test_one_that_ends_in_order_is_started_again_as_soon_each_time(tmp_path: Path, said: list[str]) -> None:
    kept = Watched(Orderly(tmp_path), said.append, lambda: None)
    await kept.start()
    for times in (1, 2, 3):
        kept.part.signal(signal.SIGTERM)
        await until(lambda times=times: kept.restarts == times and kept.state is State.READY)  # type: ignore[misc]
    assert said.count("sleeper ended (status 0), started again in 0.5 s") == 3
    await kept.stop()


async def test_a_restart_on_purpose_is_no_end(watched: Watched, said: list[str]) -> None:
    first = watched.part.pid
    await watched.restart()
    assert watched.part.pid not in {None, first}
    await asyncio.sleep(0.2)
    assert not [line for line in said if "ended" in line]


async def test_a_stopped_part_stays_stopped(watched: Watched) -> None:
    await watched.stop()
    await asyncio.sleep(0.1)
    assert (watched.state, watched.part.pid) == (State.STOPPED, None)


async def test_a_part_that_ends_at_once_is_refused_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(PartFailed, match=r"sleeper ended \(status 3\) before it was ready[\s\S]*nothing works"):
        await Failing(tmp_path).start()


async def test_a_part_that_does_not_listen_is_stopped_by_force(tmp_path: Path) -> None:
    stubborn = Stubborn(tmp_path)
    await stubborn.start()
    await stubborn.stop()
    assert stubborn.ended == -signal.SIGKILL
