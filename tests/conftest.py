"""What most tests stand on: a clock and ids that they decide, and the real store in a temporary file."""

import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import cast

import hypothesis
import pytest
from tests.fakes import CountingIds, ManualClock

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.wire import Codec
from cludale.services.catalogue import CATALOGUE, KINDS
from cludale_proof.simulator.memory import Disk, MemoryStore

pytest_plugins = ["tests.quick", "tests.parts", "tests.cpu"]

# httpcore looks for sniffio anew at every request, in all folders of the path; that it isn't there is told at once so.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = cast(ModuleType, None)

# A property is judged by what it says, not by how long an example took on a machine that was busy.
hypothesis.settings.register_profile("patient", parent=hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ids() -> CountingIds:
    return CountingIds()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "cludale.db", KINDS, Codec(CATALOGUE))
    yield opened
    await opened.close()


@pytest.fixture
def apart() -> MemoryStore:
    """A store in which partitions are apart: a record is found where it was committed, and nowhere else."""
    return MemoryStore(Disk(KINDS, Codec(CATALOGUE), apart=True))
