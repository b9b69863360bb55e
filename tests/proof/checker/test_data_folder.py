"""A data folder read from outside: as it is at one instant, in use or not, and refused where it is no such folder."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.proof.checker.worlds import World, busy_world

from cludale_proof.checker import DataFolder, Kind, Unopenable, check


def test_a_folder_tells_what_the_world_in_memory_tells(tmp_path: Path) -> None:
    world = busy_world()
    world.doc("orders/order", "order-paid")["quantity"] = 5
    world.outbox.append(world.logged[-1])
    world.write(tmp_path)
    with DataFolder(tmp_path) as folder:
        report = check(folder, now=world.now)
    expected = world.check()
    assert report.counts == expected.counts
    assert {str(each) for each in report.violations} == {str(each) for each in expected.violations}
    assert not report.ok


def test_a_folder_is_read_as_it_is_at_one_instant_while_others_write(tmp_path: Path) -> None:
    busy_world().write(tmp_path)
    with closing(sqlite3.connect(tmp_path / "cludale.db")) as server:
        server.execute("PRAGMA journal_mode = WAL")
        with DataFolder(tmp_path) as folder:
            with server:
                server.execute("DELETE FROM orders_order")
            assert len(list(folder.rows(Kind.ORDER))) == 8
            assert check(folder).ok
        with DataFolder(tmp_path) as folder:
            assert list(folder.rows(Kind.ORDER)) == []
            assert not check(folder).ok


def test_progress_is_told_and_ends_with_everything(tmp_path: Path) -> None:
    busy_world().write(tmp_path)
    told: list[tuple[str, int, int]] = []
    with DataFolder(tmp_path) as folder:
        check(folder, progress=lambda stage, done, total: told.append((stage, done, total)))
    assert {"log entries", "orders"} <= {stage for stage, _, _ in told}
    assert all(done <= total for _, done, total in told)


def test_a_folder_without_a_store_can_t_be_checked(tmp_path: Path) -> None:
    with pytest.raises(Unopenable, match="no store"):
        DataFolder(tmp_path)


def test_another_program_s_file_can_t_be_checked(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "cludale.db")) as other, other:
        other.execute("CREATE TABLE song(name TEXT)")
    with pytest.raises(Unopenable, match="no store of Cludale"):
        DataFolder(tmp_path)


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ("PRAGMA user_version = 2", "schema version 2; a server of this version brings it up to date"),
        ("CREATE TABLE audit_event_before(n INTEGER)", "is being brought up to date"),
        ("UPDATE audit_event SET body = substr(body, 1, 50)", "audit_event is damaged before number"),
    ],
)
def test_a_store_that_a_server_has_to_open_first_or_that_is_damaged_can_t_be_checked(
    tmp_path: Path, done: str, said: str
) -> None:
    busy_world().write(tmp_path)
    with closing(sqlite3.connect(tmp_path / "cludale.db")) as store, store:
        store.execute(done)
    with pytest.raises(Unopenable, match=said), DataFolder(tmp_path) as folder:
        check(folder)


def test_a_file_that_is_no_database_can_t_be_checked(tmp_path: Path) -> None:
    (tmp_path / "cludale.db").write_text("not a database, but longer than the header of one" * 10)
    with pytest.raises(Unopenable):
        DataFolder(tmp_path)


def test_a_ledger_that_can_t_be_read_is_an_error_and_one_that_isn_t_there_is_none(tmp_path: Path) -> None:
    World().write(tmp_path)
    (tmp_path / "simulated-provider.db").unlink()
    with DataFolder(tmp_path) as folder:
        assert folder.ledger() is None
        assert check(folder).unchecked
    (tmp_path / "simulated-provider.db").write_text("no ledger at all, whatever it says" * 40)
    with DataFolder(tmp_path) as folder, pytest.raises(Unopenable, match="simulated-provider"):
        check(folder)
