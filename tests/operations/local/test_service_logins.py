"""Services log in at this machine's PostgreSQL for themselves: with passwords of this start, as two users in turns."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.parts import need, started
from tests.patience import until

from cludale.services import NAMES
from cludale_operations.local.postgres import Postgres
from cludale_operations.local.service_logins import ServiceLogins

_AS_DAPR_DOES = """
    CREATE TABLE IF NOT EXISTS dapr_metadata (key text PRIMARY KEY, value text NOT NULL);
    CREATE TABLE IF NOT EXISTS dapr_state (key text PRIMARY KEY, value bytea NOT NULL, expires_at timestamptz);
"""
_KEYS = "SELECT string_agg(key, ' ' ORDER BY key) FROM dapr_state"


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    need("postgres")
    yield from started(Postgres(tmp_path / "postgres"))


async def ask(url: str, *statements: str) -> object:
    """What the last one says."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def test_the_next_start_voids_the_passwords_of_the_one_before(postgres: Postgres) -> None:
    former, present = ServiceLogins(postgres), ServiceLogins(postgres)
    await former.make()
    assert await ask(former.url("orders"), "SELECT current_user") == "cludale_orders"
    await former.renew_login()
    await present.make()
    assert await ask(present.url("orders"), "SELECT session_user") == "cludale_orders_1"
    for service in NAMES:
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await ask(former.url(service), "SELECT 1")


async def test_two_users_take_turns_and_both_are_good_between(postgres: Postgres) -> None:
    logins = ServiceLogins(postgres)
    await logins.make()
    first = logins.url("tickets")
    connected = await asyncpg.connect(first, timeout=10)
    turn = await logins.renew_login()
    second = logins.url("tickets")
    assert {await ask(url, "SELECT count(*) FROM tickets.outbox") for url in (first, second)} == {0}
    await logins.end_login(turn)
    await until(connected.is_closed)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await ask(first, "SELECT 1")
    assert await ask(second, "SELECT count(*) FROM tickets.outbox") == 0


async def test_a_sidecars_state_is_its_services_alone_also_what_earlier_versions_put_together(
    postgres: Postgres,
) -> None:
    rows = "('audit||1', 'a'), ('audit||2', 'b'), ('concerts||1', 'c')"
    await ask(postgres.url, _AS_DAPR_DOES, f"INSERT INTO dapr_state (key, value) VALUES {rows}", "SELECT 1")
    await ask(postgres.url, "INSERT INTO dapr_metadata VALUES ('migrations', '1')", "SELECT 1")
    logins = ServiceLogins(postgres)
    for _ in range(2):
        await logins.make()
        assert await ask(logins.url("audit"), _AS_DAPR_DOES, _KEYS) == "audit||1 audit||2"
        assert await ask(logins.url("concerts"), _AS_DAPR_DOES, _KEYS) == "concerts||1"
        assert await ask(logins.url("concerts"), "SELECT value FROM dapr_metadata") == "1"
    assert await ask(postgres.url, "SELECT count(*) FROM public.dapr_state") == 0
    await logins.renew_login()
    await ask(logins.url("audit"), "ALTER TABLE dapr_state ADD COLUMN IF NOT EXISTS etag uuid", "SELECT 1")
    for service in ("concerts", "orders"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(logins.url(service), "SELECT count(*) FROM cludale_audit_state.dapr_state")
