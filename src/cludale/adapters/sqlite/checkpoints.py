"""Working the log into the file without keeping commits waiting for it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import monotonic

import apsw

from cludale.adapters.sqlite.connection import NoRoom, connect_writer, understood

LOG_GROWTH = 8
"""At how many times its usual size the log is waited for: queries that read older states, or a slow disk."""
READERS_SECONDS = 0.5
"""How long that waits for queries, which are short. A backup or a check reads for minutes: it is waited for once."""
AGAIN_SECONDS = 1.0
"""How often it is tried while the disk is full, at most: the log is read for nothing when there is no room."""


class Checkpoints:
    """Keeps the log small. Most of it is worked in beside the commits, by a connection and a thread of their own.

    What was committed meanwhile is little, and is worked in between two commits: the log is then all worked in, so
    that the next commit writes it from its beginning again. A query that reads an older state keeps it from that;
    when it has grown to LOG_GROWTH times its size, writing waits for what is being worked in and for such queries,
    READERS_SECONDS at most. Whoever still reads then is not waited for again: the log grows, and commits go on.

    After the disk was full the log is worked in before anything else is written, whatever its size, and then starts
    anew in its own room: else it takes all the room that comes, and the disk is full for good.
    """

    def __init__(
        self,
        path: Path,
        writing: apsw.Connection,
        *,
        pages: int,
        busy_seconds: float,
        vfs: str | None,
        on_passed: Callable[[], None],
    ) -> None:
        """`pages` is how much log gathers first; `busy_seconds` is what the connection that writes waits for a lock.

        `on_passed` is called, in the other thread, when `keep_up` is due.
        """
        self._writing = writing
        self._busy_seconds = busy_seconds
        self._pages = pages
        self._next = pages
        self._log_pages = 0
        self._began_at = 0
        """How large the log was when the pass began that is under way."""
        self._held_at: int | None = None
        """How many pages were worked in when the last wait for queries was in vain: as long as no more are, it is for
        the same one that was waited for."""
        self._no_room: NoRoom | None = None
        """Why a commit could not be written, until the log is worked in."""
        self._tried_at = float("-inf")
        self._on_passed = on_passed
        self._passing: Future[int] | None = None
        self._beside = connect_writer(path, busy_seconds=0.0, vfs=vfs)
        self._beside.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # it is never the last one to be closed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-checkpoint")
        writing.set_wal_hook(self._logged)

    def no_room(self, why: NoRoom) -> None:
        """A commit found the disk full: the next one needs `make_room` first."""
        self._no_room = why

    def make_room(self) -> None:
        """Work in the log if the disk was full, so that the next commits need no room. Raises as `keep_up` does."""
        if self._no_room is None:
            return
        if monotonic() < self._tried_at + AGAIN_SECONDS:
            raise NoRoom(*self._no_room.args)
        if self._passing is not None:
            with suppress(NoRoom):  # now it is tried once more
                self._end(self._passing)
        try:
            self._work_in_between(apsw.SQLITE_CHECKPOINT_PASSIVE)
        except NoRoom as why:
            self._no_room, self._tried_at = why, monotonic()
            raise

    @property
    def is_due(self) -> bool:
        """Has `keep_up` anything to do?"""
        if self._passing is None:
            return self._log_pages >= self._next
        most = LOG_GROWTH * self._pages if self._held_at is None else 2 * self._began_at
        return self._passing.done() or self._log_pages >= most

    def keep_up(self) -> None:
        """Do what is due, between two commits and in their thread.

        Raises StoreUnavailable; StoreFailed when the disk fails. Of a pass beside the commits, too.
        """
        if self._passing is None:
            self._began_at = self._log_pages
            self._passing = self._thread.submit(self._pass)
            self._passing.add_done_callback(lambda _: self._on_passed())
            return
        worked_in = self._end(self._passing)
        if self._log_pages < LOG_GROWTH * self._pages:
            self._work_in_between(apsw.SQLITE_CHECKPOINT_PASSIVE)
            return
        self._next = self._log_pages + max(self._pages, self._log_pages // LOG_GROWTH)
        if worked_in != self._held_at:
            self._held_at = worked_in
            self._writing.set_busy_timeout(int(READERS_SECONDS * 1_000))
            try:
                self._work_in_between(apsw.SQLITE_CHECKPOINT_RESTART)
            finally:
                self._writing.set_busy_timeout(int(self._busy_seconds * 1_000))

    def _end(self, passing: Future[int]) -> int:
        """Wait for the pass beside the commits; how many pages of the log are in the file."""
        self._passing = None
        # Until it is known how far the log was worked in, it is not looked at again before it has grown anew.
        self._next = self._log_pages + self._pages
        return passing.result()

    def _work_in_between(self, mode: int) -> None:
        size, done = _work_in(self._writing, mode)
        self._no_room = None
        self._held_at = None
        self._next = self._pages + (size if done < size else 0)

    def close(self) -> None:
        """Wait for what is under way, and close its connection. Raises what it met, as `keep_up` does."""
        self._thread.shutdown()
        self._beside.close()
        if self._passing is not None:
            self._passing.result()

    def _pass(self) -> int:
        return _work_in(self._beside, apsw.SQLITE_CHECKPOINT_PASSIVE)[1]

    def _logged(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK


def _work_in(connection: apsw.Connection, mode: int) -> tuple[int, int]:
    """The pages of the log, and how many of them are in the file now."""
    try:
        return connection.wal_checkpoint(mode=mode)
    except apsw.Error as error:
        raise understood(error, connection.system_errno) from error
