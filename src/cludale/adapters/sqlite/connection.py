"""Connections to the file, the lock that keeps a second server out, and which errors mean what. No SQL of ours."""

import errno
import fcntl
import os
import tempfile
from pathlib import Path

import apsw

from cludale.ports.records import StoreUnavailable

PAGE_BYTES = 8192
WRITER_CACHE_KIB = 32_768
READER_CACHE_KIB = 8_192
LOG_FILE_BYTES = 64 << 20
"""A log file that had to grow beyond this is cut back to it."""
STATEMENTS = 1_000
"""Prepared statements kept by a connection: one a table, operation and power of two (see schema.Table)."""

_PASSING = (apsw.BusyError, apsw.LockedError)
_FATAL = (
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.ProtocolError,
)
_NO_ROOM_FOR_THE_WAL_INDEX = apsw.SQLITE_IOERR_SHMSIZE
_NOTHING_WRITTEN = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full: the quota is used up",
    errno.EROFS: "the disk is read-only",
}
"""Why the system takes no write. What the disk holds is known then, for it has taken nothing."""
ROOM_BYTES = 256 * 1024
"""With less room the disk counts as full: a little fits into what an earlier write left behind, a batch does not."""


class StoreFailed(StoreUnavailable):
    """The disk failed under a write, so what it holds is not known: only opening the store anew can tell.

    Whether the batch that met the error was written is not known either; nothing of it was acknowledged.
    """


class NoRoom(StoreUnavailable):
    """The disk takes no write: it is full or read-only. Nothing was written."""


class StoreInUse(Exception):
    """Another server has this store open."""


def understood(error: apsw.Error, system_error: int = 0) -> Exception:
    """`error` in the words of the port: it passes (StoreUnavailable, NoRoom), it is the end (StoreFailed), or itself.

    `system_error` is the system's number for what stopped a write of the connection.
    """
    extended = getattr(error, "extendedresult", 0)
    if isinstance(error, _PASSING):
        return StoreUnavailable(f"SQLite: {error}")
    if isinstance(error, apsw.FullError) or extended == _NO_ROOM_FOR_THE_WAL_INDEX:
        return NoRoom(f"SQLite: {error}")
    if extended == apsw.SQLITE_IOERR_WRITE and system_error in _NOTHING_WRITTEN:
        return NoRoom(f"SQLite: {_NOTHING_WRITTEN[system_error]}")
    if isinstance(error, _FATAL):
        return StoreFailed(f"SQLite: {error}")
    return error


def connect_writer(path: Path, *, busy_seconds: float, vfs: str | None) -> apsw.Connection:
    """The one connection that writes: WAL, and a sync of it with each commit."""
    # made before SQLite makes it, as others on this machine need not read it; its log takes the file's mode
    path.touch(mode=0o600)
    connection = apsw.Connection(str(path), vfs=vfs, statementcachesize=STATEMENTS)
    connection.set_busy_timeout(int(busy_seconds * 1000))
    connection.pragma("page_size", PAGE_BYTES)
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise StoreFailed(f"{path} can't be put into WAL mode (it stays in {mode!r})")
    connection.pragma("synchronous", "full")
    connection.pragma("cache_size", -WRITER_CACHE_KIB)
    connection.pragma("temp_store", "memory")
    connection.pragma("journal_size_limit", LOG_FILE_BYTES)
    # SQLite's own checkpoint within COMMIT ignores its errors, and an ignored failing sync loses data.
    connection.wal_autocheckpoint(0)
    return connection


def connect_reader(path: Path, *, busy_seconds: float, vfs: str | None) -> apsw.Connection:
    """A connection that only reads. The file must exist."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs, statementcachesize=STATEMENTS)
    connection.set_busy_timeout(int(busy_seconds * 1000))
    connection.pragma("cache_size", -READER_CACHE_KIB)
    return connection


def check_room(folder: Path) -> None:
    """Write ROOM_BYTES into a file without a name, which is gone with that. Raises NoRoom."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            left = ROOM_BYTES
            while left:
                left -= file.write(bytes(left))
    except OSError as error:
        # another reason, such as too many open files, is none why the store could not write
        if error.errno in _NOTHING_WRITTEN:
            raise NoRoom(f"SQLite: {_NOTHING_WRITTEN[error.errno]}") from error


class FileLock:
    """`<store>.lock`, held (flock) for as long as a server has the store open; it goes with the process."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".lock")
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 20).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise StoreInUse(
                f"{store} is open in another server (process {holder}); stop that one, or choose another data folder"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next server in. The file stays: removing it would let two servers lock two files."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
