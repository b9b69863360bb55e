"""PostgreSQL: `Records` and `Outbox` in one schema of a database, shared by any number of replicas of a service."""

from cludale.adapters.postgres.connection import NoAddress
from cludale.adapters.postgres.reader import PostgresReader
from cludale.adapters.postgres.store import PostgresStore

__all__ = ["NoAddress", "PostgresReader", "PostgresStore"]
