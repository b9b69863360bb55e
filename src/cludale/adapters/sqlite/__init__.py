"""SQLite: `Records` and `Outbox` in one file, for the embedded shape. Every commit survives a power cut.

`SqliteStore` is what a server opens, alone; `SqliteReader` is what tools open, beside it or without it.
"""

from cludale.adapters.sqlite.connection import StoreFailed, StoreInUse
from cludale.adapters.sqlite.store import FindLimits, SqliteReader, SqliteStore

__all__ = ["FindLimits", "SqliteReader", "SqliteStore", "StoreFailed", "StoreInUse"]
