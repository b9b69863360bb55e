"""`/readyz` says what does not work while it does not, and that it works again, without anybody buying anything."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.parts import complete, need
from tests.patience import eventually
from tests.proof.faults.crashing import STORE
from tests.proof.faults.experiment import Faults
from tests.proof.faults.test_disk_trouble import turned_away
from tests.proof.faults.trouble import locked, small_disk
from tests.proof.faults.victims import HASTE, strace, victim
from tests.served import Served, environment

from cludale_operations.local.postgres import Postgres

pytestmark = pytest.mark.slow

FEW_SECONDS = 30
"""The machine has other work, too; alone it takes one to five."""
LOUD = {**HASTE, "CLUDALE_LOG_LEVEL": "warning"}


def unready(served: Served, *, seconds: float = FEW_SECONDS) -> str:
    """Wait until it says that it is not ready; the reason. It lives all the while."""

    def is_unready() -> bool:
        assert served.http.get("/livez").status_code == 200
        return served.http.get("/readyz").status_code == 503

    assert eventually(is_unready, seconds=seconds, every_seconds=0.2), "it says that it is ready"
    answer = served.http.get("/readyz")
    assert answer.headers["retry-after"]
    problem = answer.json()
    assert problem["type"] == "/problems/not-ready"
    assert problem["detail"] == " ".join(each["detail"] for each in problem["troubles"])
    return str(problem["detail"])


def ready(served: Served, *, seconds: float = FEW_SECONDS) -> bool:
    """Does it say soon that it is ready?"""
    return eventually(lambda: served.http.get("/readyz").status_code == 200, seconds=seconds, every_seconds=0.2)


def part_ready(served: Served, part: str) -> float:
    found = re.search(rf'^cludale_part_ready{{part="{part}"}} (\S+)$', served.http.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def said(folder: Path) -> list[str]:
    """The lines of the log that tell of a change."""
    lines = Path(f"{folder}.log").read_text().splitlines()
    return [line for line in lines if "not ready." in line or "works again" in line]


def buy(served: Served, **more: str) -> Any:
    wanted = {"concertId": "c-1", "userId": "me", "quantity": 1}
    return served.http.post("/orders", json=wanted, headers=more)


def test_a_disk_that_fills_up_is_said_before_anybody_buys_and_so_is_its_room(tmp_path: Path, faults: Faults) -> None:
    fault = "a disk without room (tmpfs)"
    faults.expect(fault)
    folder = tmp_path / "data"
    with small_disk(folder, mebibytes=32), victim(folder, settings=LOUD) as served:
        served.concert("c-1")
        before = buy(served).json()
        assert ready(served, seconds=0)
        for _ in range(2):
            fill(folder)
            assert "The store takes no writes: SQLite: the disk is full" in unready(served)
            faults.fire(fault)
            assert (part_ready(served, "store"), served.http.get("/readyz/replica").status_code) == (0, 200)
            assert served.http.get("/concerts/c-1").status_code == 200
            (folder / "ballast").unlink()
            assert ready(served)
            assert part_ready(served, "store") == 1
        assert buy(served).status_code == 201
        seen = served.http.get(f"/orders/{before['id']}", headers=served.organizer)
        assert seen.json()["status"] in {"Reserved", "Paid"}
    assert ["not ready." in line for line in said(folder)] == [True, False] * 2


def fill(folder: Path) -> None:
    """Leave no room."""
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        for size in (2**20, 2**12, 1):
            try:
                while ballast.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def test_buyers_on_a_full_disk_are_turned_away_while_it_says_that_it_is_not_ready(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with small_disk(folder, mebibytes=32), victim(folder) as served:
        served.concert("c-1", seats=1_000_000)
        fill(folder)
        reason = unready(served)
        assert "The store takes no writes" in reason
        confirmed, refused = [], None
        for _ in range(2_000):  # what an earlier write has left room for may still be written
            answer = buy(served)
            if answer.status_code == 503:
                refused = answer
                break
            confirmed.append(answer.json()["id"])
        assert refused is not None
        assert refused.headers["retry-after"]
        for _ in range(10):
            assert buy(served).status_code in {201, 503}
            assert served.http.get("/readyz").status_code == 503
        (folder / "ballast").unlink()
        assert ready(served)
        assert turned_away(served) is None
        for id in confirmed:
            assert served.http.get(f"/orders/{id}", headers=served.organizer).status_code == 200


def test_a_disk_that_becomes_read_only_is_said_and_the_process_goes_on(tmp_path: Path, faults: Faults) -> None:
    fault = "EROFS from some pwrite64 of the store (strace)"
    faults.expect(fault)
    folder, log = tmp_path / "data", tmp_path / "strace.log"
    # Of each thread: the one that opens the store makes less than 800.
    under = strace(
        log,
        calls="pwrite64",
        inject="pwrite64:error=EROFS:when=1000..1010",
        paths=[folder / STORE, folder / f"{STORE}-wal"],
    )
    with victim(folder, under=under, settings={"CLUDALE_LOG_LEVEL": "error"}) as served:
        served.concert("c-1", seats=1_000)
        while buy(served).status_code == 201:
            pass
        assert "The store takes no writes: SQLite: the disk is read-only" in unready(served)
        faults.fire(fault, log.read_text().count("(INJECTED)"))
        assert ready(served, seconds=60)
        assert buy(served).status_code == 201


def test_a_start_on_a_disk_without_room_says_so_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with small_disk(folder, mebibytes=1):
        fill(folder)
        os.truncate(folder / "ballast", (folder / "ballast").stat().st_size - 2**16)
        ended = subprocess.run(
            [sys.executable, "-m", "cludale_operations", "serve"],
            env=environment(folder), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert ended.returncode == 2
    assert "full" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_store_that_another_process_locks_is_not_ready_until_it_lets_go(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with victim(folder) as served:
        served.concert("c-1")
        with locked(folder / STORE):
            assert "The store takes no writes: " in unready(served)
            assert eventually(lambda: "locked" in unready(served), seconds=FEW_SECONDS)
        assert ready(served)
        assert buy(served).status_code == 201


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    """A database of the test's own, to be hurt."""
    need("postgres")
    server = Postgres(tmp_path / "postgres")
    complete(server.start())
    try:
        yield server
    finally:
        complete(server.stop())


@contextmanager
def over(server: Postgres, folder: Path, **settings: str) -> Iterator[Served]:
    """A platform over the database, with a concert and an order in it."""
    with victim(folder, settings={**LOUD, "CLUDALE_DATABASE_URL": server.url, **settings}) as served:
        served.concert("c-1")
        assert buy(served).status_code == 201
        assert served.http.get("/readyz").status_code == 200
        yield served


def execute(server: Postgres, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(server.url, timeout=10, command_timeout=30)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    complete(run())


def refused(served: Served) -> bool:
    """Is a buyer told to come again?"""
    answer = buy(served)
    assert answer.status_code in {201, 503}, answer.text
    return answer.status_code == 503 and bool(answer.headers["retry-after"])


RELOAD = "SELECT pg_reload_conf()"


def test_a_database_that_is_switched_to_read_only_and_back(tmp_path: Path, server: Postgres) -> None:
    folder = tmp_path / "data"
    with over(server, folder) as served:
        execute(server, "ALTER SYSTEM SET default_transaction_read_only = on", RELOAD)
        assert "The store takes no writes: PostgreSQL is read-only" in unready(served)
        assert refused(served)
        assert served.http.get("/concerts/c-1").status_code == 200
        execute(server, "SET default_transaction_read_only = off", "ALTER SYSTEM RESET ALL", RELOAD)
        assert ready(served)
        assert buy(served).status_code == 201
    assert ["not ready." in line for line in said(folder)] == [True, False]


def test_sessions_that_were_opened_read_only_are_opened_anew(tmp_path: Path, server: Postgres) -> None:
    with over(server, tmp_path / "data") as served:
        execute(
            server,
            "ALTER DATABASE cludale SET default_transaction_read_only = on",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
        )
        assert "PostgreSQL is read-only" in unready(served)
        execute(server, "SET default_transaction_read_only = off", "ALTER DATABASE cludale RESET ALL")
        assert ready(served)
        assert buy(served).status_code == 201


def test_a_database_that_comes_back_as_a_standby_is_not_ready_until_it_is_promoted(
    tmp_path: Path, server: Postgres
) -> None:
    with over(server, tmp_path / "data") as served:
        complete(server.kill())
        (server.folder / "cluster" / "standby.signal").touch()
        complete(server.start())
        assert eventually(lambda: "PostgreSQL is read-only: it is a standby" in unready(served), seconds=FEW_SECONDS)
        assert refused(served)
        execute(server, "SELECT pg_promote()")
        assert ready(served)
        assert buy(served).status_code == 201


def test_a_database_that_is_away_is_said_and_so_is_its_return(tmp_path: Path, server: Postgres) -> None:
    with over(server, tmp_path / "data") as served:
        complete(server.stop())
        assert eventually(lambda: "PostgreSQL can't be reached" in unready(served), seconds=FEW_SECONDS)
        assert refused(served)
        complete(server.start())
        assert ready(served)
        assert buy(served).status_code == 201


def test_a_database_without_room_is_not_ready_though_it_can_write_a_row_in_its_place(tmp_path: Path) -> None:
    need("postgres")
    disk = tmp_path / "disk"
    with small_disk(disk, mebibytes=256):
        server = Postgres(disk / "postgres", log=tmp_path / "postgres.log")
        complete(server.start())
        try:
            with over(server, tmp_path / "data") as served:
                fill(disk)
                assert "The store takes no writes: the disk of PostgreSQL is full" in unready(served)
                for _ in range(10):
                    assert buy(served).status_code in {201, 503}
                    assert served.http.get("/readyz").status_code == 503
                (disk / "ballast").unlink()
                assert ready(served, seconds=20)
                assert buy(served).status_code == 201
        finally:
            complete(server.stop())
