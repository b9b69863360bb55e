"""A user of PostgreSQL as a service has one: a member of the service's role, and nothing more."""

from collections.abc import Iterable

import asyncpg

from cludale.adapters.postgres.preparing import prepare, role_of
from cludale.ports.records import Kind
from cludale_operations.local.logins import Login


async def member(owners_url: str, service: str, kinds: Iterable[Kind]) -> Login:
    """A new user of this service in that database, whose schema and role are made first."""
    login = Login(f"{role_of(service)}_1", "a-password")
    owner = await asyncpg.connect(owners_url, timeout=10)
    try:
        await prepare(owner, service, kinds)
        await owner.execute(f"CREATE ROLE {login.user} LOGIN PASSWORD '{login.password}' IN ROLE {role_of(service)}")
    finally:
        await owner.close()
    return login
