"""Tools that read a database: the audit's commands beside a real server, whether services share a schema or not."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.product.contracts.samples import CODEC, KINDS, NOTE, ORDER, key, of, order
from tests.served import serve
from typer.testing import CliRunner

from cludale.adapters.postgres import PostgresReader, PostgresStore
from cludale.ports.records import Put, Query, SchemaRefused
from cludale_operations.cli import app


@pytest.fixture
def bought(database_url: str, tmp_path: Path) -> Iterator[None]:
    with serve(tmp_path, settings={"CLUDALE_DATABASE_URL": database_url}) as served:
        served.concert("c", seats=50)
        placed = served.http.post("/orders", json={"concertId": "c", "userId": "me", "quantity": 2}).json()
        paid = served.http.get(f"/orders/{placed['id']}?wait=10", headers=served.organizer).json()
        assert paid["status"] == "Paid"
        yield


def told(url: str, *arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"], env={"CLUDALE_DATABASE_URL": url})
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.usefixtures("bought")
def test_the_log_is_verified_and_replayed_beside_the_server(database_url: str) -> None:
    assert told(database_url, "audit", "verify")["ok"]
    outcome = told(database_url, "audit", "replay")
    assert outcome["differences"] == []
    assert outcome["rebuilt"]["orders/order"] == 1


async def test_kinds_are_found_in_the_schemas_of_their_services(database_url: str) -> None:
    for schema, kinds in (("orders", (ORDER, NOTE)), ("payments", KINDS[1:2])):
        store = await PostgresStore.open(database_url, kinds, CODEC, schema=schema)
        await store.commit([of(*([order("a", status="Paid"), Put(NOTE, "n", b"", 0)] if schema == "orders" else []))])
        await store.close()
    reader = await PostgresReader.open(database_url, KINDS)
    assert list(await reader.get(ORDER, [key("a"), key("b")])) == ["a"]
    assert [item.id for item in (await reader.find(ORDER, Query(equal={"status": "Paid"}))).items] == ["a"]
    assert (await reader.find(KINDS[1], Query())).items == []
    await reader.close()


async def test_a_database_without_a_store_says_so(database_url: str) -> None:
    with pytest.raises(SchemaRefused, match="no store"):
        await PostgresReader.open(database_url, KINDS)


async def test_a_database_without_the_audit_log_says_so_instead_of_an_empty_chain(database_url: str) -> None:
    store = await PostgresStore.open(database_url, (ORDER,), CODEC, schema="orders")
    await store.close()
    for command in ("verify", "replay"):
        result = await asyncio.to_thread(
            CliRunner().invoke, app, ["audit", command], env={"CLUDALE_DATABASE_URL": database_url}
        )
        assert result.exit_code == 2
        assert "the audit log is not in this database" in " ".join(result.output.split())


def test_a_database_that_is_not_there_is_said_in_one_line() -> None:
    result = CliRunner().invoke(app, ["audit", "verify"], env={"CLUDALE_DATABASE_URL": "postgresql://127.0.0.1:1/x"})
    assert result.exit_code == 2
    assert "CLUDALE_DATABASE_URL" in result.output
