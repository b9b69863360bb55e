"""The connection that writes, used from one thread: a batch a transaction, then checkpoints. No event loop here."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from cludale.adapters.sqlite import outbox, schema
from cludale.adapters.sqlite.checkpoints import Checkpoints
from cludale.adapters.sqlite.connection import NoRoom, StoreFailed, connect_writer, understood
from cludale.adapters.sqlite.schema import Tables
from cludale.adapters.sqlite.statements import run
from cludale.ports.records import Commit, Kind, StoreUnavailable
from cludale.runtime.planning import Plan, Planner

_log = logging.getLogger(__name__)

PROBE_BUSY_SECONDS = 1.0
"""How long a probe waits for another process's lock: commits wait behind it, and then for the lock themselves."""


class Writer:
    """Writes batches. After an error that may have harmed the file it touches it no more."""

    def __init__(
        self,
        path: Path,
        tables: Tables,
        planner: Planner,
        *,
        busy_seconds: float,
        checkpoint_pages: int,
        vfs: str | None,
        on_passed: Callable[[], None],
    ) -> None:
        """Open the file and recover it. `checkpoint_pages` is how much log gathers before it is worked in.

        `on_passed` is called, in another thread, when `tidy` has something to do without any batch.
        """
        self._tables = tables
        self._planner = planner
        self._failed: StoreFailed | None = None
        self._busy_seconds = busy_seconds
        self._connection = connect_writer(path, busy_seconds=busy_seconds, vfs=vfs)
        try:
            schema.prepare(self._connection, path, tables.values())
            # What a killed process wrote may be in the log without having been synced. From here on it is on the disk.
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self.position: int = self._connection.execute(schema.OUTBOX_LAST).get or 0
            self.undelivered = outbox.undelivered(self._connection.execute(schema.OUTBOX_ROWS))
            self._checkpoints = Checkpoints(
                path,
                self._connection,
                pages=checkpoint_pages,
                busy_seconds=busy_seconds,
                vfs=vfs,
                on_passed=on_passed,
            )
        except BaseException:
            self._connection.close()
            raise

    def write(self, plan: Plan | None, commits: Sequence[Commit], position: int, delivered: Sequence[int]) -> Plan:
        """Write what can be written of `commits`, and take the rows `delivered` from the outbox, in one transaction.

        `plan` is the hopeful one, None if there is none; their events go past `position`.

        If it raises, nothing was written: StoreUnavailable; or, with StoreFailed, it is not known.
        """
        if self._failed is not None:
            raise self._failed
        with self._understood():
            self._checkpoints.make_room()
            if plan is None or not self._write(plan, delivered):
                plan = self._write_exactly(commits, position, delivered)
        return plan

    def probe(self) -> None:
        """Write as little as can be written, durably. Raises as `write` does."""
        if self._failed is not None:
            raise self._failed
        execute = self._connection.execute
        with self._understood():
            self._checkpoints.make_room()
            self._connection.set_busy_timeout(int(min(self._busy_seconds, PROBE_BUSY_SECONDS) * 1000))
            try:
                execute("BEGIN IMMEDIATE")
                # the number that is there already, and still a page for the log
                execute(f"PRAGMA user_version = {self._connection.pragma('user_version')}")
                execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    execute("ROLLBACK")
                raise
            finally:
                self._connection.set_busy_timeout(int(self._busy_seconds * 1000))

    def rewrite(self, folder: Path) -> None:
        """Write the whole file anew and empty the log, so that no free page has old bytes. Nobody commits meanwhile.

        `folder` takes a copy of the file for as long. Raises as `write` does; then the old bytes may still be there.
        """
        if self._failed is not None:
            raise self._failed
        connection = self._connection
        with self._understood():
            # the copy goes into a file, for memory may be less than the store
            connection.pragma("temp_store", "file")
            connection.execute(f"PRAGMA temp_store_directory = {apsw.format_sql_value(str(folder))}")
            try:
                connection.execute("VACUUM")
            finally:
                connection.pragma("temp_store", "memory")
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def tidy(self) -> None:
        """Work the log into the file if it has grown enough. Raises StoreFailed when that fails for good."""
        if self._failed is None and self._checkpoints.is_due:
            with self._another_time():
                self._checkpoints.keep_up()

    def close(self) -> None:
        """Close the connections; the last one leaves no log behind, unless the disk has failed. Raises StoreFailed."""
        try:
            with self._another_time():
                self._checkpoints.close()
        finally:
            self._connection.close()

    @contextmanager
    def _another_time(self) -> Iterator[None]:
        """A checkpoint that finds no room, or no turn, is made later."""
        try:
            with self._understood():
                yield
        except StoreFailed:
            raise
        except StoreUnavailable as passing:
            _log.debug("the log waits to be worked in: %s", passing)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Errors in the words of the port, and what follows from them here."""
        try:
            yield
        except StoreFailed as failed:
            self._fail(failed)
            raise
        except apsw.Error as error:
            known = understood(error, self._connection.system_errno)
            if isinstance(known, StoreFailed):
                self._fail(known)
            elif isinstance(known, NoRoom):
                self._checkpoints.no_room(known)
            raise known from error

    def _fail(self, failed: StoreFailed) -> None:
        self._failed = failed
        # The file is not to be touched any more, not even when it is closed.
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    def _write(self, plan: Plan, delivered: Sequence[int]) -> bool:
        if not (plan.rows or plan.entries or delivered):
            return True
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            for kind, rows in plan.rows.items():
                if rows.bases and self._tables[kind].differs(execute, rows):
                    execute("ROLLBACK")
                    return False
            for kind, rows in plan.rows.items():
                self._tables[kind].write(execute, rows)
            if plan.entries:
                execute(schema.OUTBOX_INSERT, outbox.packed(plan.entries))
            if delivered:
                run(execute, schema.OUTBOX_DELETE, delivered, 1)
            execute("COMMIT")
        except apsw.ConstraintError:
            execute("ROLLBACK")
            return False
        except BaseException:
            if self._connection.in_transaction:  # some errors have ended it already
                execute("ROLLBACK")  # if this fails as well, its error is the one that counts
            raise
        return True

    def _write_exactly(self, commits: Sequence[Commit], position: int, delivered: Sequence[int]) -> Plan:
        # Only this connection writes, so what is read here still holds in the transaction that follows.
        plan = self._planner.exact(commits, position, versions=self._versions(commits))
        if not self._write(plan, delivered):
            raise AssertionError("another program wrote to the store while it was locked")
        return plan

    def _versions(self, commits: Sequence[Commit]) -> Mapping[tuple[Kind, str], int]:
        ids: dict[Kind, dict[str, None]] = {}
        for commit in commits:
            for put in commit.puts:
                ids.setdefault(put.kind, {})[put.id] = None
        return {
            (kind, identity): version
            for kind, of_kind in ids.items()
            for identity, version in self._tables[kind].held(self._connection.execute, of_kind)
        }
