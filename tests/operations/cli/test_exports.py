"""The files of an export: written once, gone on from, and found out where somebody has been at them."""

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import ManualClock
from tests.product.adapters.cosmos.double import KEY, running_double
from tests.product.services.audit.samples import CODEC, delivered, placed
from typer.testing import CliRunner

from cludale.adapters.cosmos.layout import Container
from cludale.adapters.cosmos.store import CosmosStore
from cludale.services.audit import export
from cludale.services.audit.export import ChainBroken
from cludale.services.audit.service import Audit
from cludale.services.audit.store import ENTRY, KINDS
from cludale_operations.cli import app
from cludale_operations.cli.exports import NotAnExport, export_to, verify
from cludale_proof.simulator.memory import Disk, MemoryStore


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)


@pytest.fixture
def disk() -> Disk:
    return Disk(KINDS, CODEC, apart=True)


async def recorded(disk: Disk, first: int, last: int) -> str:
    """Record these; the log's head."""
    audit = Audit(MemoryStore(disk), ManualClock(), segment_entries=5)
    for at in range(first, last + 1):
        await audit.handle(delivered(placed(f"e{at:02}", f"order-{at}")))
    return (await audit.verify()).head


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def exported(disk: Disk, folder: Path) -> None:
    await export_to(folder, MemoryStore(disk), entries_a_file=4)


async def test_files_have_about_so_many_entries_and_the_names_of_their_numbers(disk: Disk, tmp_path: Path) -> None:
    head = await recorded(disk, 1, 11)
    files, reached = await export_to(tmp_path, MemoryStore(disk), entries_a_file=4)
    assert (files, reached.sequence, reached.hash) == (3, 11, head)
    assert names(tmp_path) == [
        "entries-000000000001-000000000004.jsonl.gz",
        "entries-000000000005-000000000009.jsonl.gz",
        "entries-000000000010-000000000011.jsonl.gz",
    ]
    verdict = verify(tmp_path)
    assert (verdict.ok, verdict.events, verdict.head) == (True, 11, head)


async def test_the_last_file_is_enough_to_go_on_from(
    disk: Disk, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    await recorded(disk, 1, 7)
    await exported(disk, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    for name in sorted(before)[:-1]:
        (tmp_path / name).rename(elsewhere / name)
    head = await recorded(disk, 8, 12)
    await exported(disk, tmp_path)
    for name in names(tmp_path):
        (tmp_path / name).rename(elsewhere / name)
    assert all((elsewhere / name).read_bytes() == content for name, content in before.items())
    verdict = verify(elsewhere)
    assert (verdict.ok, verdict.events, verdict.head) == (True, 12, head)


async def test_nothing_new_writes_no_file(disk: Disk, tmp_path: Path) -> None:
    await recorded(disk, 1, 3)
    await exported(disk, tmp_path)
    assert (await export_to(tmp_path, MemoryStore(disk)))[0] == 0


async def test_what_a_crash_left_unfinished_is_written_anew(disk: Disk, tmp_path: Path) -> None:
    await recorded(disk, 1, 3)
    (tmp_path / "entries-000000000001.unfinished").write_bytes(b"half")
    await exported(disk, tmp_path)
    assert names(tmp_path) == ["entries-000000000001-000000000003.jsonl.gz"]
    assert verify(tmp_path).ok


async def test_of_a_broken_log_what_is_whole_is_exported(disk: Disk, tmp_path: Path) -> None:
    await recorded(disk, 1, 8)
    place = next(place for place in disk.tables[ENTRY] if place.id == "e07")
    del disk.tables[ENTRY][place]
    with pytest.raises(ChainBroken, match="entry 7: missing"):
        await exported(disk, tmp_path)
    assert (verify(tmp_path).ok, verify(tmp_path).events) == (True, 5)


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


@pytest.mark.parametrize(
    ("change", "at"),
    [
        (lambda text: text.replace(b"order-6", b"order-5"), 6),
        (lambda text: b"".join(text.splitlines(keepends=True)[1:]), 5),
        (lambda text: b"".join(text.splitlines(keepends=True)[:-2]), 9),
        (lambda text: b"{\n" + text, 5),
    ],
    ids=["an event", "an entry gone", "the last gone", "no line"],
)
async def test_a_changed_file_is_found(disk: Disk, tmp_path: Path, change: Callable[[bytes], bytes], at: int) -> None:
    await recorded(disk, 1, 11)
    await exported(disk, tmp_path)
    rewritten(tmp_path / "entries-000000000005-000000000009.jsonl.gz", change)
    verdict = verify(tmp_path)
    assert verdict.broken is not None
    assert (verdict.ok, verdict.broken.sequence, verdict.events) == (False, at, at - 1)


async def test_a_missing_file_and_one_cut_short_are_said(disk: Disk, tmp_path: Path) -> None:
    await recorded(disk, 1, 11)
    await exported(disk, tmp_path)
    middle = tmp_path / "entries-000000000005-000000000009.jsonl.gz"
    content = middle.read_bytes()
    middle.write_bytes(content[:-20])
    with pytest.raises(NotAnExport, match="entries-000000000005"):
        verify(tmp_path)
    middle.unlink()
    with pytest.raises(NotAnExport, match="entries are missing between"):
        verify(tmp_path)


async def test_the_log_in_cosmos_db_is_verified_and_exported(tmp_path: Path) -> None:
    async with running_double() as double:
        container = Container("audit", ("dueAt", "time"))
        store = CosmosStore(double.endpoint, KEY, CODEC, container, database="d", has_outbox=False)
        await store.start()
        audit = Audit(store, ManualClock(), segment_entries=5)
        for at in range(1, 8):
            await audit.handle(delivered(placed(f"e{at:02}", f"order-{at}")))
        await store.close()
        settings = {
            "CLUDALE_COSMOS_ENDPOINT": double.endpoint,
            "CLUDALE_COSMOS_KEY": KEY,
            "CLUDALE_COSMOS_DATABASE": "d",
        }
        for command in (["verify"], ["export", str(tmp_path)]):
            result = await asyncio.to_thread(CliRunner().invoke, app, ["audit", *command], env=settings)
            assert result.exit_code == 0, result.output
        settings["CLUDALE_COSMOS_DATABASE"] = "another"
        result = await asyncio.to_thread(CliRunner().invoke, app, ["audit", "verify"], env=settings)
        assert result.exit_code == 2
        assert "another" not in double.databases
    assert verify(tmp_path).events == 7
