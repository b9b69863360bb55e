"""An audit over a real store in a temporary file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes import ManualClock
from tests.product.services.audit.samples import CODEC

from cludale.adapters.sqlite import SqliteStore
from cludale.services.audit.service import Audit
from cludale.services.audit.store import KINDS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cludale.db"


@pytest.fixture
async def records(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, KINDS, CODEC)
    yield store
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def audit(records: SqliteStore, clock: ManualClock) -> Audit:
    return Audit(records, clock, patience=3, attempts=5, wait_seconds=60)
