"""What a service may do in the database: use its own records, which tests/product/contracts does, and nothing else."""

import os
from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg
import pytest
from tests.product.adapters.postgres.members import member
from tests.product.contracts.samples import CODEC, KINDS

from cludale.adapters.postgres import PostgresStore
from cludale.adapters.postgres.preparing import prepare
from cludale.adapters.postgres.request_counts import PostgresCounts
from cludale.ports.records import Kind, SchemaRefused
from cludale.ports.request_counts import CountKey
from cludale_operations.local.postgres import Postgres


class Two(NamedTuple):
    """Two services' names, and the address as the first of them logs in."""

    mine: str
    others: str
    url: str


@pytest.fixture
async def two(postgres_server: Postgres) -> Two:
    mine, others = (f"test_{os.urandom(6).hex()}" for _ in range(2))
    login = await member(postgres_server.url, mine, KINDS)
    await member(postgres_server.url, others, KINDS)
    return Two(mine, others, postgres_server.url_as(login))


@pytest.fixture
async def logged_in(two: Two) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(two.url, timeout=10)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM {others}.orders_order",
        "SELECT * FROM {others}.outbox",
        "INSERT INTO {others}.outbox VALUES (0, 1, 'order-events', '')",
        "SELECT {others}.strike_off(0)",
        "SELECT nextval('{others}.position_block')",
        "DELETE FROM {mine}.orders_order",
        "TRUNCATE {mine}.orders_order",
        "UPDATE {mine}.migration SET number = 99",
        "DROP TABLE {mine}.outbox",
        "ALTER TABLE {mine}.orders_order DISABLE TRIGGER ALL",
        "CREATE TABLE {mine}.of_my_own (x int)",
        "CREATE TABLE public.of_my_own (x int)",
        "CREATE SCHEMA of_my_own",
        "CREATE ROLE of_my_own",
        "SET ROLE cludale",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY {mine}.orders_order TO PROGRAM 'cat'",
        "SELECT rolpassword FROM pg_authid",
    ],
)
async def test_a_service_reads_and_changes_nothing_but_its_own_records(
    two: Two, logged_in: asyncpg.Connection, statement: str
) -> None:
    own = f"SELECT count(*) FROM {two.mine}.orders_order"
    assert await logged_in.fetchval(own) == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await logged_in.execute(statement.format(**two._asdict()))


async def test_requests_are_counted_by_all_services_together(two: Two, postgres_server: Postgres) -> None:
    key, me = CountKey(two.mine, 7, b"an address"), CountKey("process orders", 3, b"me")
    mine, owners = PostgresCounts(two.url), PostgresCounts(postgres_server.url)
    await owners.add([(key, 2)], me)
    assert (await mine.add([(key, 1)], me)).totals[key].here == 3
    await mine.forget([(two.mine, 8)])
    assert (await owners.add([(key, 1)], me)).totals[key].here == 1
    for each in (mine, owners):
        await each.close()


async def test_a_version_that_wants_another_table_says_who_makes_it(two: Two, postgres_server: Postgres) -> None:
    kinds = [*KINDS, Kind("orders", "novelty")]
    with pytest.raises(SchemaRefused, match="permission denied") as refused:
        await PostgresStore.open(two.url, kinds, CODEC, schema=two.mine)
    assert "run `cludale database prepare` of this version as the database's owner first" in str(refused.value)
    owner = await asyncpg.connect(postgres_server.url, timeout=10)
    await prepare(owner, two.mine, kinds)
    await owner.close()
    await (await PostgresStore.open(two.url, kinds, CODEC, schema=two.mine)).close()
