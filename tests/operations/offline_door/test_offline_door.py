"""A door that goes on without network: the command, its journal, and a real server that is away and back."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.fakes import NOON
from tests.served import KEY, Served, serve
from typer.testing import CliRunner

from cludale.services.tickets.events import Direction
from cludale.services.tickets.offline import Anchor, Reading
from cludale_operations.cli import app
from cludale_operations.offline_door.journal import Journal, JournalInUse

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.mark.slow
def test_two_doors_without_network_merge_and_their_double_entry_is_named(served: Served, tmp_path: Path) -> None:
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {KEY}"}) as http:
        date = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="seconds")
        served.concert("larks", date=date)
        codes = [each["code"] for each in served.tickets("larks", 3)]

        def door(name: str, *lines: str, url: str = served.url) -> str:
            arguments = [
                "door",
                name,
                "--concert",
                "larks",
                "--offline",
                "--journal",
                str(tmp_path / name),
                "--url",
                url,
            ]
            environment = {"CLUDALE_DATA_DIR": str(served.folder), "CLUDALE_ORGANIZER_KEY": KEY}
            result = CliRunner().invoke(app, arguments, input="".join(f"{each}\n" for each in lines), env=environment)
            assert result.exit_code == 0, result.output
            return result.output

        assert "IN  1 of 3" in door("north", codes[0])
        door("south")
        away = door("north", codes[0], codes[1], "junk", url=NOWHERE)
        assert "STOP  was let in before" in away
        assert "IN  2 of 3  general  [no network, 1 wait]" in away
        assert "no ticket of ours" in away
        assert "UNDONE" in door("south", codes[1], codes[2], "undo", url=NOWHERE)
        assert "told the server of 1" in door("north")
        back = door("south", codes[2])
        assert "double-entry" in back
        assert "before at north at" in back
        assert "told" not in door("south")
        counted = http.get("/tickets/admissions", params={"concertId": "larks"}).json()
        assert (counted["admitted"], counted["inside"]) == (3, 4)
        rows = http.get("/tickets/inside.csv", params={"concertId": "larks"}).text.splitlines()
        assert len(rows) == 1 + 4
        assert [row.split(",")[0] for row in rows[1:]] == ["general"] * 4


def test_what_the_journal_has_is_there_when_it_is_opened_again_and_has_one_program(tmp_path: Path) -> None:
    reading = Reading(NOON, "start", 10.0)
    journal = Journal(tmp_path / "j.db", "north")
    with pytest.raises(JournalInUse):
        Journal(tmp_path / "j.db", "north")
    device = journal.device
    first = journal.begin("A", concert="c", door="north", direction=Direction.IN, reading=reading)
    journal.decided(first, result="valid", state="waiting", at=NOON, ticket=("order-1", 1))
    journal.anchored(Anchor(reading, NOON))
    journal.close()
    journal = Journal(tmp_path / "j.db", "north")
    assert (journal.device, journal.count("waiting")) == (device, 1)
    assert journal.anchors() == [Anchor(reading, NOON)]
    assert [move.scan_id for move in journal.movements("c")["order-1", 1]] == [f"{device}.{first}"]
    assert journal.undo_last("mistake") == first
    journal.told({first: "known"}, [])
    assert journal.count("waiting") == 1  # the server has not heard that it was undone
    journal.told({first: "known"}, [first])
    assert (journal.count("waiting"), journal.movements("c")) == (0, {})
    journal.close()


def test_a_journal_whose_disk_was_full_goes_on_once_there_is_room(tmp_path: Path) -> None:
    opened: list[sqlite3.Connection] = []

    def connect(path: Path, **how: Any) -> sqlite3.Connection:
        opened.append(sqlite3.connect(path, **how))
        return opened[0]

    journal = Journal(tmp_path / "j.db", "north", connect=connect)
    (database,) = opened  # the limit is SQLite's, of this connection alone
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            journal.keep({"snapshot": b"x" * 1_000_000})
    database.execute("PRAGMA max_page_count = 10000")
    database.set_authorizer(lambda action, what, *_: _no_commit(action, what))
    with pytest.raises(sqlite3.DatabaseError):
        journal.keep({"snapshot": b"y"})
    database.set_authorizer(None)
    assert not database.in_transaction
    journal.keep({"snapshot": b"z"})
    assert journal.kept("snapshot") == b"z"
    journal.close()


def _no_commit(action: int, what: str | None) -> int:
    """A COMMIT that fails."""
    return sqlite3.SQLITE_DENY if (action, what) == (sqlite3.SQLITE_TRANSACTION, "COMMIT") else sqlite3.SQLITE_OK
