"""What a PostgreSQL database puts into a backup: a dump by its own pg_dump, of one instant, over all services' schemas.

What a broker held between services at that instant is not in it.
"""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cludale_operations.backup.archive import Tell
from cludale_operations.backup.folder import CannotCopy
from cludale_operations.local.find import find

DUMP = "database.dump"
_CONNECT_SECONDS = 10
DUMP_SECONDS = 6 * 3_600
"""After which a dump or a restore is given up."""


def dump(url: str, into: Path, tell: Tell) -> Path:
    """Write the database into `into`. Raises CannotCopy, MissingProgram, OSError."""
    target = into / DUMP
    tell("dumping the database", 0, 0)
    # not compressed, for the archive is
    _run([find("pg_dump"), "--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--file", target], url)
    return target


def restore(file: Path, url: str, tell: Tell) -> None:
    """Read a dump into an empty database, all or nothing. Raises CannotCopy, MissingProgram, OSError."""
    tell("restoring the database", 0, 0)
    name = _variables(url)["PGDATABASE"]
    flags = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
    _run([find("pg_restore"), *flags, "--dbname", name, file], url)


def assert_empty(url: str) -> None:
    """No table is in the database. Raises CannotCopy."""
    try:
        import asyncpg  # noqa: PLC0415 - only this shape needs it
    except ModuleNotFoundError as missing:
        raise CannotCopy(
            f"a database needs the package {missing.name}: pip install 'cludale[distributed]'"
        ) from missing

    async def tables() -> int:
        connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS, command_timeout=_CONNECT_SECONDS)
        try:
            found = await connection.fetchval(
                "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
        finally:
            await connection.close()
        return int(found)

    try:
        there = asyncio.run(tables())
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise CannotCopy(f"CLUDALE_DATABASE_URL: {error or 'no answer'}") from error
    if there:
        raise CannotCopy(f"the database is not empty: it has {there} tables. Make a new one (createdb), and name it")


def _run(command: list[Path | str], url: str) -> None:
    """The password goes by the environment: what a command line says, everyone on the machine reads."""
    program = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - a program that was found, and flags of ours
            command,
            env={**os.environ, **_variables(url), "PGCONNECT_TIMEOUT": str(_CONNECT_SECONDS)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DUMP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotCopy(f"{program}: no end in {DUMP_SECONDS} s") from error
    if done.returncode:
        raise CannotCopy(f"{program}: {done.stderr.strip()[-500:] or f'ended with status {done.returncode}'}")


def _variables(url: str) -> Mapping[str, str]:
    """The address, as PostgreSQL's programs take it from their environment."""
    parts = urlsplit(url)
    found = {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.lstrip("/")),
        "PGSSLMODE": parse_qs(parts.query).get("sslmode", [""])[0],
        "PGSSLROOTCERT": parse_qs(parts.query).get("sslrootcert", [""])[0],
    }
    return {name: value for name, value in found.items() if value}
