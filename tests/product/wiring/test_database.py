"""A database that its owner made ready: every service does its work there as a user that may do nothing else."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.product.wiring.platforms import put_on, running

from cludale.adapters.simulated_payments.shared_ledger import SharedLedger
from cludale.services import NAMES
from cludale.wiring.database import prepare_database


def as_user(url: str, user: str) -> str:
    return urlsplit(url)._replace(netloc=f"{user}:a-password@{urlsplit(url).netloc.rpartition('@')[2]}").geturl()


async def new_user(url: str, role: str) -> str:
    """The address for a new member of this role."""
    user = f"test_{os.urandom(6).hex()}"
    owner = await asyncpg.connect(url, timeout=10)
    await owner.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'a-password' IN ROLE {role}")
    await owner.close()
    return as_user(url, user)


async def test_services_work_as_users_who_may_do_nothing_else(tmp_path: Path, database_url: str) -> None:
    roles = await prepare_database(database_url)
    assert set(roles) == set(NAMES)
    url = await new_user(database_url, roles["concerts"])
    async with running(tmp_path, ["concerts"], database_url=url) as concerts:
        await put_on(concerts)
        assert not concerts.troubles


async def test_the_provider_is_for_payments_alone(database_url: str) -> None:
    roles = await prepare_database(database_url)
    ledger = SharedLedger(await new_user(database_url, roles["payments"]))
    assert await ledger.rows(["a-key"]) == []
    await ledger.close()
    connection = await asyncpg.connect(await new_user(database_url, roles["orders"]), timeout=10)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT * FROM provider.charge")
    await connection.close()
