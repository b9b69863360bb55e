"""Connections: with limits on everything, durable commits, and errors in the words of the port. No SQL of ours."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeAlias, TypeVar
from urllib.parse import urlsplit

import asyncpg
from asyncpg import exceptions

from cludale.kernel.backoff import Backoff
from cludale.ports.records import StoreUnavailable

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Connection: TypeAlias = asyncpg.Connection
RECONNECT: Final = Backoff(0.05, 1.0)

BY_KEY: Final = {
    "plan_cache_mode": "force_generic_plan",
    # A table that was small when a statement was planned grows under the plan: always by the index, row by row.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_material": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Settings of a session that reads and writes by key alone: each of its statements is planned once.

Left to itself PostgreSQL would plan `id = ANY($1)` anew each time, for few ids seem cheaper than those of a kept plan.
"""

_GONE = (
    OSError,
    TimeoutError,
    exceptions.PostgresConnectionError,
    exceptions.OperatorInterventionError,
    exceptions.InternalClientError,
)
_PASSING = (
    exceptions.QueryCanceledError,
    exceptions.InsufficientResourcesError,
    exceptions.PostgresSystemError,
    exceptions.LockNotAvailableError,
    exceptions.TransactionRollbackError,
    exceptions.ReadOnlySQLTransactionError,
    exceptions.InvalidAuthorizationSpecificationError,
    exceptions.InvalidCatalogNameError,
    exceptions.ObjectNotInPrerequisiteStateError,
    exceptions.UndefinedTableError,
    exceptions.UndefinedFunctionError,
    exceptions.InvalidSchemaNameError,
)
_UNSTORABLE = (exceptions.DataError, exceptions.ProgramLimitExceededError)


class NoAddress(StoreUnavailable):
    """This is not the address of a PostgreSQL database; the message says why, and names no password."""


class SessionLimits(NamedTuple):
    """How long anything may take, in seconds. A client's patience is a little longer than the server's."""

    connect: float = 5.0
    statement: float = 10.0
    lock: float = 5.0
    idle_in_transaction: float = 10.0
    grace: float = 2.0
    """How much longer than `statement` we wait for an answer before the connection counts as broken."""


def is_gone(error: BaseException) -> bool:
    """Is the connection no good any more, so that what was under way on it is not known?"""
    if isinstance(error, exceptions.QueryCanceledError):
        return False  # a timeout of the server's: the statement was undone
    return isinstance(error, _GONE) or (
        isinstance(error, asyncpg.InterfaceError) and not isinstance(error, exceptions.DataError | ValueError)
    )


def understood(error: Exception) -> Exception:
    """`error` in the words of the port: StoreUnavailable if it passes, ValueError for the unstorable, or itself."""
    if isinstance(error, _UNSTORABLE):
        return ValueError(f"PostgreSQL: {error}")
    if is_gone(error) or isinstance(error, _PASSING):
        return StoreUnavailable(f"PostgreSQL: {str(error) or type(error).__name__}")
    return error


@contextmanager
def understanding(by: Callable[[Exception], Exception] = understood) -> Iterator[None]:
    """What is raised in the block is raised as `by` says; what nobody knows better as itself, not as its own cause."""
    try:
        yield
    except Exception as error:
        known = by(error)
        if known is error:
            raise
        raise known from error


def plainly(error: BaseException) -> str:
    """Why PostgreSQL does not do its work, in words for the operator; no address in them."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, exceptions.ReadOnlySQLTransactionError):
            return "PostgreSQL is read-only: it is a standby, or default_transaction_read_only is on"
        if isinstance(seen, exceptions.DiskFullError):
            return "the disk of PostgreSQL is full"
        if isinstance(seen, OSError | TimeoutError):
            return "PostgreSQL can't be reached"
        seen = seen.__cause__
    return str(error) or type(error).__name__


async def connect(url: str, limits: SessionLimits, *, name: str, settings: dict[str, str] | None = None) -> Connection:
    """A connection whose commits are durable when they are answered. Raises StoreUnavailable, NoAddress.

    `name` is what `pg_stat_activity` shows, `settings` are more of the session's.
    """
    session = {
        "statement_timeout": f"{int(limits.statement * 1000)}",
        "lock_timeout": f"{int(limits.lock * 1000)}",
        "idle_in_transaction_session_timeout": f"{int(limits.idle_in_transaction * 1000)}",
        "tcp_user_timeout": f"{int((limits.statement + limits.grace) * 1000)}",
        "jit": "off",
        "timezone": "UTC",
        **(settings or {}),
    }
    with understanding():
        try:
            connection = await asyncpg.connect(
                url,
                timeout=limits.connect,
                command_timeout=limits.statement + limits.grace,
                server_settings={"application_name": name[:63]},
                statement_cache_size=200,
                max_cached_statement_lifetime=0,
            )
        except (exceptions.ClientConfigurationError, ValueError) as error:
            raise NoAddress(str(error)) from error
        try:
            # After the start, not with it: a proxy in between may drop what it does not know from the start message.
            assignments = ", ".join(f"set_config('{setting}', '{value}', false)" for setting, value in session.items())
            durable = await connection.fetchrow(
                f"SELECT current_setting('synchronous_commit') AS was, current_setting('fsync') AS fsync, {assignments}"
            )
            if durable["was"] in ("off", "local", "remote_write"):
                await connection.execute("SET synchronous_commit = on")
            if durable["fsync"] != "on":
                where = described(url)
                _log.warning("%s: the server runs with fsync = off; a power cut loses what was answered", where)
        except BaseException:
            connection.terminate()
            raise
    return connection


class ReadingConnection:
    """One connection, for reading one thing at a time, made anew when it breaks.

    For `patience_seconds` a read waits for a server that has gone; once it has been away for so long, reads try once.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, patience_seconds: float = 3.0) -> None:
        self._connect = connect
        self._patience = patience_seconds
        self._connection: Connection | None = None
        self._gone_since: float | None = None

    async def read(self, job: Callable[[Connection], Awaitable[Result]]) -> Result:
        """What `job` reads; again over a new connection if this one has gone. Raises what `understood` makes."""
        tries = 0
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connect()
                found = await job(self._connection)
            except asyncio.CancelledError:
                self.drop()
                raise
            except Exception as error:
                if not self._is_worth_another_try(error):
                    with understanding():
                        raise
            else:
                self._gone_since = None
                return found
            tries += 1
            await asyncio.sleep(RECONNECT.seconds(tries, 0.5) if tries > 1 else 0)

    def _is_worth_another_try(self, error: Exception) -> bool:
        """Has the server gone, and not for long?"""
        is_cause_gone = isinstance(error, StoreUnavailable) and not isinstance(error, NoAddress)
        if not is_gone(error) and not is_cause_gone:
            return False
        self.drop()
        now = asyncio.get_running_loop().time()
        if self._gone_since is None:
            self._gone_since = now
        return not isinstance(error, TimeoutError) and now - self._gone_since < self._patience

    def drop(self) -> None:
        """Let go of the connection at once."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.terminate()

    async def close(self, seconds: float = 2.0) -> None:
        """Close the connection in order, if it lets us."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            await closed(connection, seconds)


async def closed(connection: Connection, seconds: float = 2.0) -> None:
    """Close in order, or else at once."""
    try:
        await connection.close(timeout=seconds)
    except Exception as error:  # noqa: BLE001 - it was to be closed, and is
        _log.debug("a connection was not closed in order: %s", error)
        connection.terminate()


def described(url: str) -> str:
    """Where `url` leads, without its password. Raises NoAddress."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise NoAddress(str(error)) from error
    return f"{parts.path.lstrip('/') or 'the default database'} at {host}{f':{port}' if port else ''}"
