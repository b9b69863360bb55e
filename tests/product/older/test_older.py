"""What an earlier version wrote: its log is read, its store opened and gone on with, and what is written it could read.

`written/` was written by `write.py` at 74f13a7, the commit before events carried an allocation as one value.
"""

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from tests.events import CODEC
from tests.proof.journeys.box_office import BoxOffice
from tests.proof.journeys.conftest import HASTE
from tests.served import KEY, serve

from cludale.adapters.sqlite import SqliteReader
from cludale.kernel.events import Envelope
from cludale.ports.records import Query, Records
from cludale.runtime.aggregates import AggregateStore
from cludale.runtime.replay import Rebuild
from cludale.services.catalogue import KINDS, REPLAYS
from cludale.services.concerts.store import CONCERTS, RESERVATIONS, SECTIONS
from cludale.services.notifications.store import NOTIFICATIONS, RECEIPTS
from cludale.services.orders.store import ORDERS
from cludale.services.payments.store import PAYMENTS
from cludale.wiring.offline import new_store
from cludale_operations.cli import offline
from cludale_proof.checker import DataFolder, check
from cludale_proof.simulator.memory import Disk, MemoryStore

DATA = Path(__file__).parent / "written"
LOG = (DATA / "log.jsonl").read_text().splitlines()
STORES: Sequence[AggregateStore[Any]] = (
    CONCERTS, SECTIONS, RESERVATIONS, ORDERS, PAYMENTS, NOTIFICATIONS, RECEIPTS,
)  # fmt: skip


class OldLog:
    """The log as the earlier version wrote it."""

    def __init__(self) -> None:
        self._lines = LOG

    async def read(self) -> AsyncIterator[Sequence[Envelope]]:
        """All of it, once."""
        lines, self._lines = self._lines, []
        yield [CODEC.decode(line) for line in lines]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the earlier version's data folder."""
    return Path(shutil.copytree(DATA, tmp_path / "data"))


@pytest.fixture
async def opened(folder: Path) -> Path:
    """The same as this version keeps it."""
    await new_store(folder / "cludale.db").close()
    return folder


async def test_its_log_is_replayed_to_the_states_that_it_had(opened: Path) -> None:
    rebuild = Rebuild(OldLog(), REPLAYS, MemoryStore(Disk(KINDS, CODEC)))
    await rebuild.run()
    assert rebuild.events == len(LOG)
    live = SqliteReader(opened / "cludale.db", KINDS)
    try:
        assert await rebuild.compare(cast("Records", live), settle_rounds=1, settle_seconds=0) == []
    finally:
        await live.close()


@pytest.mark.parametrize("line", LOG, ids=[json.loads(line)["id"] for line in LOG])
def test_an_event_is_written_as_it_was_so_that_the_version_before_could_read_it(line: str) -> None:
    before, after = json.loads(line), json.loads(CODEC.encode(CODEC.decode(line)))
    assert after.pop("data") | before.pop("data") == json.loads(line)["data"]
    assert after == before


@pytest.mark.parametrize("store", STORES, ids=[store.kind.name for store in STORES])
async def test_a_record_is_written_as_it_was_so_that_the_version_before_could_read_it(
    store: AggregateStore[Any], opened: Path
) -> None:
    live = SqliteReader(opened / "cludale.db", KINDS)
    try:
        stored = (await live.find(store.kind, Query(limit=100))).items
    finally:
        await live.close()
    assert stored
    for each in stored:
        assert json.loads(store.put(store.decode(each.body), each.version).body) == json.loads(each.body)


def test_its_store_is_opened_and_gone_on_with(folder: Path) -> None:
    with serve(folder, settings=HASTE | {"CLUDALE_HOLD_SECONDS": "1"}) as served, BoxOffice(served.url, KEY) as office:
        orders = office.listed("/orders", concertId="concert-hall")
        (late,) = [each for each in orders if each["quantity"] == 4]
        office.cancel(late, by=office.organizer)
        office.until(lambda: office.payment(late)["status"], lambda status: status == "Refunded")

        (declined, *_) = [each for each in orders if each["reason"] == "payment-declined"]
        assert office.charge(declined, method="card-ok").json()["status"] == "Completed"
        office.until(lambda: _statuses(office)[declined["id"]], lambda status: status == "Paid")

        # what was under way goes on: the holds of two Reserved orders have ended by now
        office.until(lambda: _statuses(office), lambda seen: set(seen.values()) == {"Paid", "Cancelled"})
        office.until(lambda: office.counts("concert-hall"), lambda counted: counted[1] == 0)
        office.end(office.buy("concert-hall"), "Paid")
        addresses = {each["email"] for each in office.listed("/orders", concertId="concert-hall")}
        assert addresses >= {"buyer@example.org"}, "it had them in clear"
        assert served.stop() == 0
    clear = [file.name for file in folder.iterdir() if b"buyer@example.org" in file.read_bytes()]
    assert clear == [], "and now they are encrypted, and no free page has them either"
    outcome = offline.replay(folder, None, until=None, into=None, show=(), progress=lambda *_: None)
    assert outcome.events > len(LOG)
    assert outcome.differences == []
    with DataFolder(folder) as data:
        assert check(data).ok


def _statuses(office: BoxOffice) -> dict[str, str]:
    return {each["id"]: each["status"] for each in office.listed("/orders", concertId="concert-hall")}
