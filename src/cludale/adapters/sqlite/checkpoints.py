"""Working the log into the file without keeping commits waiting for it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import apsw

from cludale.adapters.sqlite.connection import connect_writer

LOG_GROWTH = 8
"""How many times its usual size the log may have while queries read older states."""


class Checkpoints:
    """Keeps the log small. Most of it is worked in beside the commits, by a connection and a thread of their own.

    What was committed meanwhile is little, and is worked in between two commits: the log is then all worked in, so
    that the next commit writes it from its beginning again. A query that reads an older state keeps it from that;
    when it has grown to LOG_GROWTH times its size, writing waits for such queries.
    """

    def __init__(
        self, path: Path, writing: apsw.Connection, *, pages: int, vfs: str | None, on_passed: Callable[[], None]
    ) -> None:
        """`pages` is how much log gathers first. `on_passed` is called, in the other thread, when `keep_up` is due."""
        self._writing = writing
        self._pages = pages
        self._next = pages
        self._log_pages = 0
        self._on_passed = on_passed
        self._passing: Future[None] | None = None
        self._beside = connect_writer(path, busy_seconds=0.0, vfs=vfs)
        self._beside.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # it is never the last one to be closed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-checkpoint")
        writing.set_wal_hook(self._logged)

    def keep_up(self) -> None:
        """Do what is due, between two commits and in their thread. Raises apsw.Error, of a pass beside them too."""
        grown = self._log_pages >= LOG_GROWTH * self._pages
        if self._passing is None:
            if self._log_pages >= self._next:
                self._passing = self._thread.submit(self._pass)
                self._passing.add_done_callback(lambda _: self._on_passed())
        elif grown or self._passing.done():
            passed, self._passing = self._passing, None
            # Until it is known how far the log was worked in, it is not looked at again before it has grown anew.
            self._next = self._pages + self._log_pages
            passed.result()
            mode = apsw.SQLITE_CHECKPOINT_RESTART if grown else apsw.SQLITE_CHECKPOINT_PASSIVE
            size, done = self._writing.wal_checkpoint(mode=mode)
            self._next = self._pages + (size if done < size else 0)

    def close(self) -> None:
        """Wait for what is under way, and close its connection. Raises the apsw.Error that it met."""
        self._thread.shutdown()
        self._beside.close()
        if self._passing is not None:
            self._passing.result()

    def _pass(self) -> None:
        self._beside.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _logged(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK
