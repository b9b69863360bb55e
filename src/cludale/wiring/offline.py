"""Opens stores without a server: for tools that read a live store or write a new one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from cludale.adapters.sqlite import SqliteReader, SqliteStore
from cludale.adapters.system.clock import SystemClock
from cludale.kernel.wire import Codec
from cludale.ports.records import Key, Kind, Page, Query, Records, SchemaRefused, Stored
from cludale.services import NAMES
from cludale.services.audit import store as audit
from cludale.services.audit.service import Audit
from cludale.services.catalogue import CATALOGUE, KINDS
from cludale.services.orders.store import ORDERS
from cludale.wiring.needs import without_asyncpg
from cludale.wiring.settings import Settings
from cludale.wiring.stores import Store, audit_log_in_cosmos, postgres_store


def new_store(path: Path) -> SqliteStore:
    """A store of all kinds for a tool. Raises what opening a store raises."""
    return SqliteStore(path, KINDS, Codec(CATALOGUE))


class Reader(Protocol):
    """What a tool reads records from."""

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """As Records."""
        ...

    async def find(self, kind: Kind, query: Query) -> Page:
        """As Records."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


_READ = tuple(kind for kind in KINDS if kind != audit.WAITING)
"""What tools read. Stores of older versions lack the other."""


async def store_to_read(where: Path | str | Settings) -> Reader:
    """The existing store in this file, in the PostgreSQL database at this address, or in the Cosmos DB account that
    these settings name: for a tool, beside servers. In an account it is the one with the audit log.

    Raises SchemaRefused for a database without the audit log, which may be in a state store; StoreUnavailable.
    """
    if isinstance(where, Path):
        return SqliteReader(where, _READ)
    if isinstance(where, Settings):
        return await audit_log_in_cosmos(where)
    try:
        from cludale.adapters.postgres import PostgresReader  # noqa: PLC0415 - only this shape needs asyncpg
    except ModuleNotFoundError as missing:
        raise without_asyncpg(missing) from missing
    reader = await PostgresReader.open(where, _READ)
    if not reader.has(audit.ENTRY):
        await reader.close()
        raise SchemaRefused(
            "the audit log is not in this database; with CLUDALE_AUDIT_STATE it is in a Dapr state store, which the "
            "running audit alone reads: GET /audit/verify"
        )
    return reader


async def store_to_write(where: Path | str) -> Store:
    """The existing store in this file, or of orders in the PostgreSQL database at this address: for a tool that writes
    where no server runs.

    Raises SchemaRefused, StoreUnavailable, StoreInUse.
    """
    if isinstance(where, Path):
        return new_store(where)
    reader = await store_to_read(where)
    try:
        schema = reader.schema_of(ORDERS.kind) if isinstance(reader, HasSchemas) else None
    finally:
        await reader.close()
    if schema is None:
        raise SchemaRefused("there are no orders in this database")
    store = postgres_store(where, ("orders",) if schema == "orders" else NAMES)
    await store.start()
    return store


@runtime_checkable
class HasSchemas(Protocol):
    """A reader of a store that has several schemas."""

    def schema_of(self, kind: Kind) -> str | None:
        """The schema that has this kind."""
        ...


def audit_over(records: Records) -> Audit:
    """The audit service over a store, to ask it."""
    return Audit(records, SystemClock())
