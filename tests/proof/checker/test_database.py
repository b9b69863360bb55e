"""The checker over a PostgreSQL database: it agrees with what the services write, and finds what is done to it."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
import typer
from tests.proof.checker.test_real_services import SETTINGS, SETTLES_SECONDS, Client, live
from tests.served import serve
from typer.testing import CliRunner

from cludale_operations.local.postgres import Postgres
from cludale_proof.checker import Report, Unopenable
from cludale_proof.checker import check as check_snapshot
from cludale_proof.checker.command import check
from cludale_proof.checker.database import Database

pytestmark = pytest.mark.slow

app = typer.Typer()
app.command()(check)


def execute(url: str, *statements: str) -> str:
    async def run() -> str:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            status = ""
            for statement in statements:
                status = await connection.execute(statement)
            return status
        finally:
            await connection.close()

    return asyncio.run(run())


def look(url: str, client: Client, *, quiet: bool = False) -> Report:
    with Database(url, quiet=quiet) as snapshot:
        return check_snapshot(
            snapshot,
            quiet=quiet,
            observations=client.seen,
            grace=timedelta(seconds=2),
            skew=timedelta(seconds=1),
        )


@pytest.fixture(scope="module")
def settled(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Client]:
    """A database in which a server has been at work and came to rest."""
    execute(postgres_server.url, "CREATE DATABASE settled")
    url = postgres_server.url_of("settled")
    with serve(tmp_path_factory.mktemp("data"), settings={**SETTINGS, "CLUDALE_DATABASE_URL": url}) as served:
        client = Client(served)
        live(client)
        assert look(url, client).violations == []
        deadline = time.monotonic() + SETTLES_SECONDS
        while not look(url, client, quiet=True).ok and time.monotonic() < deadline:
            time.sleep(0.2)
    return url, client


@pytest.fixture
def copy(postgres_server: Postgres, settled: tuple[str, Client]) -> Iterator[str]:
    """A copy of it, to be tampered with."""
    execute(postgres_server.url, "CREATE DATABASE tampered TEMPLATE settled")
    yield postgres_server.url_of("tampered")
    execute(postgres_server.url, "DROP DATABASE tampered WITH (FORCE)")


def test_a_real_server_keeps_every_promise(settled: tuple[str, Client]) -> None:
    url, client = settled
    report = look(url, client, quiet=True)
    assert report.violations == []
    assert report.unchecked == []
    assert report.counts["orders"] >= 10
    assert report.counts["observations"] == len(client.seen)
    assert report.counts["ledger lines"]
    assert report.counts["kept answers"]


_BODY = "convert_from(body, 'UTF8')"


@pytest.mark.parametrize(
    ("rule", "sql"),
    [
        ("order-lost", "DELETE FROM cludale.orders_order WHERE status = 'Paid'"),
        (
            "order-differs",
            f"UPDATE cludale.orders_order SET body = replace({_BODY}, '\"Paid\"', '\"Reserved\"')::bytea "
            "WHERE status = 'Paid'",
        ),
        ("version-gap", "UPDATE cludale.orders_order SET version = version + 1 WHERE status = 'Paid'"),
        ("reservation-lost", "DELETE FROM cludale.concerts_reservation"),
        ("payment-lost", "DELETE FROM cludale.payments_payment"),
        (
            "gap",  # numbers of rows have gaps of their own, where a batch was tried again
            "DELETE FROM cludale.audit_event WHERE n = (SELECT n FROM cludale.audit_event ORDER BY n OFFSET 9 LIMIT 1)",
        ),
        ("hash", f"UPDATE cludale.audit_event SET body = replace({_BODY}, 'card-flaky', 'card-oddly')::bytea"),
        ("events-lost", "UPDATE cludale.replica SET events = events + 1 WHERE id = 0"),
    ],
)
def test_what_is_done_to_a_real_store_is_found(settled: tuple[str, Client], copy: str, rule: str, sql: str) -> None:
    _, client = settled
    assert not execute(copy, sql).endswith(" 0")
    assert rule in {violation.rule for violation in look(copy, client, quiet=True).violations}


def test_the_command_checks_a_database(settled: tuple[str, Client], tmp_path: Path) -> None:
    url, _ = settled
    result = CliRunner().invoke(app, ["--database", url, "--quiet"])
    assert result.exit_code == 0, result.output
    assert "OK: everything holds" in result.output
    result = CliRunner().invoke(app, [], env={"CLUDALE_DATABASE_URL": url})
    assert result.exit_code == 0, result.output


def test_every_event_in_a_row_of_the_outbox_is_read_and_rows_of_releases_before(copy: str) -> None:
    execute(
        copy,
        "INSERT INTO cludale.outbox (owner, position, topic, body, earlier) VALUES (0, 9, 't', 'c', '{a,b}')",
        "INSERT INTO cludale.outbox (owner, position, topic, body) VALUES (0, 10, 't', 'd')",
    )
    with Database(copy, quiet=True) as snapshot:
        assert list(snapshot.outbox()) == [b"a", b"b", b"c", b"d"]
    execute(copy, "ALTER TABLE cludale.outbox DROP COLUMN earlier")
    with Database(copy, quiet=True) as snapshot:
        assert list(snapshot.outbox()) == [b"c", b"d"]


def test_services_apart_are_checked_at_rest_only(settled: tuple[str, Client], copy: str) -> None:
    _, client = settled
    execute(
        copy,
        "CREATE SCHEMA audit",
        *(f"CREATE TABLE audit.{table} (LIKE cludale.{table})" for table in ("outbox", "replica")),
        "CREATE TABLE audit.migration AS SELECT * FROM cludale.migration",
    )
    with pytest.raises(Unopenable, match=r"stand apart \(audit, cludale\)"):
        Database(copy, quiet=False)
    assert look(copy, client, quiet=True).violations == []


def test_what_can_t_be_checked_is_said(database_url: str, copy: str) -> None:
    with pytest.raises(Unopenable, match="no store"):
        Database(database_url, quiet=True)
    execute(copy, "UPDATE cludale.migration SET number = 99")
    with pytest.raises(Unopenable, match="version 99"):
        Database(copy, quiet=True)
    result = CliRunner().invoke(app, ["--database", "postgresql://x:secret@127.0.0.1:1/nowhere"])
    assert result.exit_code == 2
    assert "could not be checked" in result.output
    assert "secret" not in result.output


def test_a_database_without_the_audit_log_is_not_called_broken(settled: tuple[str, Client], copy: str) -> None:
    execute(copy, "DROP TABLE cludale.audit_event CASCADE")
    with pytest.raises(Unopenable, match=r"the audit log is not in the database.*CLUDALE_AUDIT_STATE"):
        look(copy, settled[1])
