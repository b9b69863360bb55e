"""The power goes: what was acknowledged is there when it is back, and what was not is there whole or not at all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import apsw
import pytest
from tests.product.contracts.samples import CODEC, KINDS, LINE, line, noted, of, order
from tests.proof.faults.disk import Disk, Image, Loss
from tests.proof.faults.experiment import Faults, Figures, Scale

from cludale.adapters.sqlite import SqliteStore, checkpoints, writer
from cludale.adapters.sqlite.connection import connect_writer
from cludale.ports.records import COMMITTED, Query, StoreUnavailable

STORE = "cludale.db"
WRITERS = 6
CHECKPOINT_PAGES = 60
"""Little enough for many checkpoints: half of the cuts should come at their worst moments."""


class Cut(NamedTuple):
    """A power cut: what the disk held afterwards, and what had been acknowledged before."""

    image: Image
    acknowledged: dict[str, int]
    """The version of each record."""


class Powered:
    """A store on a disk, writers that write to it as fast as they can, and power cuts at random moments."""

    def __init__(self, folder: Path, random: Random, *, cuts: int, heeds_sync: bool = True) -> None:
        self.cuts: list[Cut] = []
        self.tried: dict[str, int] = {}
        self._acknowledged: dict[str, int] = {}
        self._folder = folder
        self._random = random
        self._wanted = cuts
        self._heeds_sync = heeds_sync
        self._disk: Disk | None = None
        self._next = random.randrange(1, 80)

    async def run(self, known: dict[str, int]) -> None:
        """Write until all cuts have come. `known`: the records that are there already."""
        self._acknowledged, self.tried = dict(known), dict(known)
        with mounted(self._folder.name, heeds_sync=self._heeds_sync) as disk:
            self._disk = disk
            disk.on_operation = self._operation
            store = SqliteStore(
                self._folder / STORE, KINDS, CODEC, vfs=self._folder.name, checkpoint_pages=CHECKPOINT_PAGES
            )
            try:
                async with asyncio.timeout(60):
                    await asyncio.gather(*(self._write(store, number) for number in range(WRITERS)))
            finally:
                await store.close()

    def _operation(self) -> None:
        disk = self._disk
        if disk is None or disk.operations < self._next or len(self.cuts) >= self._wanted:
            return
        self._next = disk.operations + self._random.randrange(1, 80)
        loss = self._random.choice((Loss.ALL, Loss.HALF))
        # What the event loop's thread has been told by now was told before the cut.
        self.cuts.append(Cut(disk.cut(loss, self._random), dict(self._acknowledged)))

    async def _write(self, store: SqliteStore, writer: int) -> None:
        """New records and new versions of old ones, each with a line that is written once and shares a row with others,
        and an event."""
        random = Random(self._random.random())
        mine = [id for id in self._acknowledged if id.startswith(f"{writer}-")]
        while len(self.cuts) < self._wanted:
            if mine and random.random() < 0.4:
                id = random.choice(mine)
            else:
                id = f"{writer}-{len(mine)}"
                mine.append(id)
            version = self.tried.get(id, 0)
            event = f"{id}.{version + 1}"
            self.tried[id] = version + 1
            commit = of(
                order(id, version, body(version + 1, random.randrange(20, 1500)), concertId=event),
                line(event),
                events=(noted(event),),
            )
            (outcome,) = await store.commit((commit,))
            assert outcome is COMMITTED, outcome
            self._acknowledged[id] = version + 1


def body(version: int, size: int) -> bytes:
    return b'{"version":%d,"filling":"%s"}' % (version, b"x" * size)


@contextmanager
def mounted(name: str, *, heeds_sync: bool = True) -> Iterator[Disk]:
    disk = Disk(name, heeds_sync=heeds_sync)
    try:
        yield disk
    finally:
        disk.unregister()


class Found(NamedTuple):
    """What a store holds after its restart."""

    versions: dict[str, int]
    events: set[str]
    lines: Sequence[str]
    sound: bool


@asynccontextmanager
async def recovered(folder: Path, image: Image) -> AsyncIterator[Found]:
    """A server starts on what the cut left, and one looks at what it finds."""
    image.write(folder)
    store = SqliteStore(folder / STORE, KINDS, CODEC)
    try:
        with apsw.Connection(str(folder / STORE), flags=apsw.SQLITE_OPEN_READONLY) as connection:
            yield Found(
                dict(connection.execute("SELECT id, version FROM orders_order")),
                {CODEC.decode(entry.body).id for entry in await store.pending(0, 1_000_000)},
                [each.id for each in (await store.find(LINE, Query(limit=1_000_000))).items],
                connection.execute("PRAGMA integrity_check").get == "ok",
            )
        connection.close()
    finally:
        await store.close()


def lost(cut: Cut, found: Found) -> list[str]:
    """Records whose acknowledged version is not there."""
    return [id for id, version in cut.acknowledged.items() if found.versions.get(id, 0) < version]


def torn(found: Found) -> list[str]:
    """Commits of which a part is there: the record's version, its line and its event belong together."""
    whole = {f"{id}.{version}" for id, last in found.versions.items() for version in range(1, last + 1)}
    twice = [id for id, times in Counter(found.lines).items() if times > 1]
    return sorted({*(whole ^ found.events), *(whole ^ set(found.lines)), *twice})


async def cut_again_and_again(
    folder: Path, random: Random, *, runs: int, cuts: int, look: Callable[[Cut, Found], None]
) -> None:
    """Runs of the store, each on what one of the cuts of the run before left."""
    known: dict[str, int] = {}
    image: Image | None = None
    for run in range(runs):
        place = folder / f"run-{random.randrange(10**9)}-{run}"
        place.mkdir()
        if image is not None:
            image.write(place)
        powered = Powered(place, random, cuts=cuts)
        await powered.run(known)
        for number, cut in enumerate(powered.cuts):
            async with recovered(place / f"cut-{number}", cut.image) as found:
                look(cut, found)
                if number == run % cuts:
                    image, known = cut.image, found.versions


async def test_a_power_cut_loses_nothing_that_was_acknowledged(
    tmp_path: Path, scale: Scale, seed: int, faults: Faults, figures: Figures
) -> None:
    runs, cuts = scale.of_three(20, 20, 200), 5
    acknowledged = 0
    for what in ("power cut", "unsynced write lost", "unsynced write torn"):
        faults.expect(what)

    def look(cut: Cut, found: Found) -> None:
        nonlocal acknowledged
        faults.fire("power cut")
        faults.fire("unsynced write lost", cut.image.lost)
        faults.fire("unsynced write torn", cut.image.torn)
        acknowledged += sum(cut.acknowledged.values())
        assert found.sound
        assert not lost(cut, found)
        assert not torn(found)

    await cut_again_and_again(tmp_path, Random(seed), runs=runs, cuts=cuts, look=look)
    figures.row("power cuts", disk="heeds syncs", synchronous="FULL", cuts=runs * cuts, cuts_that_lost=0)
    assert acknowledged > runs * cuts * 10


@pytest.mark.parametrize(
    ("sync", "heeds_sync"), [("normal", True), ("off", True), ("full", False)], ids=["normal", "off", "a-lying-disk"]
)
async def test_the_cuts_are_real_for_they_lose_what_is_not_synced(
    tmp_path: Path, seed: int, figures: Figures, monkeypatch: pytest.MonkeyPatch, sync: str, heeds_sync: bool
) -> None:
    def connect(path: Path, **options: Any) -> apsw.Connection:
        connection = connect_writer(path, **options)
        connection.pragma("synchronous", sync)
        return connection

    for module in (writer, checkpoints):
        monkeypatch.setattr(module, "connect_writer", connect)
    place = tmp_path / f"{sync}-{heeds_sync}"
    place.mkdir()
    powered = Powered(place, Random(seed), cuts=30, heeds_sync=heeds_sync)
    await powered.run({})
    losses: list[bool] = []
    for number, cut in enumerate(powered.cuts):
        losses.append(await is_lossy(place / f"cut-{number}", cut))
    figures.row(
        "power cuts",
        disk="heeds syncs" if heeds_sync else "lies",
        synchronous=sync.upper(),
        cuts=len(losses),
        cuts_that_lost=sum(losses),
    )
    # With NORMAL about half of them lose something: checkpoints, which sync the log, run all the time here.
    assert any(losses)


async def is_lossy(folder: Path, cut: Cut) -> bool:
    try:
        async with recovered(folder, cut.image) as found:
            return bool(lost(cut, found))
    except (apsw.Error, StoreUnavailable):
        return True  # nothing is left that could be opened


def test_a_torn_commit_would_be_seen() -> None:
    both = {"1-0.1", "1-0.2"}
    assert torn(Found({"1-0": 2}, both, sorted(both), True)) == []
    assert torn(Found({"1-0": 2}, {"1-0.1"}, sorted(both), True)) == ["1-0.2"]
    assert torn(Found({"1-0": 2}, both, ["1-0.1"], True)) == ["1-0.2"]
    assert torn(Found({"1-0": 2}, both, ["1-0.1", "1-0.2", "1-0.1"], True)) == ["1-0.1"]
