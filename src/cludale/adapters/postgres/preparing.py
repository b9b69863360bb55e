"""What the owner of a database does before services use it: their schemas as this version wants them, and their rights.

A service works in a role that may read and write its own records, and neither change nor delete a table, nor see
another's. It never deletes a record: only events that went out, and replicas that are gone.
"""

from collections.abc import Iterable
from typing import Final

from cludale.adapters.postgres import request_counts
from cludale.adapters.postgres.connection import Connection
from cludale.adapters.postgres.migrations import migrate
from cludale.adapters.postgres.schema import Function, checked_schema, tables_of
from cludale.ports.records import Kind

_STORE: Final = """
    GRANT USAGE ON SCHEMA {schema} TO {role};
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO {role};
    REVOKE INSERT, UPDATE ON {schema}.migration FROM {role};
    GRANT DELETE ON {schema}.outbox, {schema}.replica TO {role};
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};
"""
# To all: they count the requests of one address together.
_COUNTS: Final = """
    GRANT USAGE ON SCHEMA request_limits TO {role};
    GRANT SELECT, INSERT, UPDATE, DELETE ON request_limits.counter TO {role};
"""


def role_of(service: str) -> str:
    """The role that a service works in. Raises ValueError for a name that can't be one's."""
    return checked_schema(f"cludale_{service}")


async def prepare(connection: Connection, service: str, kinds: Iterable[Kind]) -> None:
    """Make the schema of this service, its role, and what the role may do. The same again changes nothing.

    Users log in as members of the role, and have no other rights. Raises SchemaRefused, and whatever the server raises.
    """
    schema, role = checked_schema(service), role_of(service)
    tables = tables_of(kinds, schema)
    await migrate(connection, schema, tables, Function(schema, tables.values()))
    await request_counts.make(connection)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", role)
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
            await connection.execute(f"CREATE ROLE {role}")
        await connection.execute((_STORE + _COUNTS).format(schema=schema, role=role))
