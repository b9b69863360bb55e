"""A PostgreSQL server on loopback, over a folder of its own."""

import asyncio
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from cludale_operations.local.certificate import CERTIFICATE, make_certificate
from cludale_operations.local.find import find
from cludale_operations.local.free_ports import LOOPBACK, free_port
from cludale_operations.local.logins import USERS, Login, keep_login, kept_login, new_login, new_password
from cludale_operations.local.part import Launch, Part, PartFailed
from cludale_operations.local.tether import give, tethered, user_instead_of_root

USER = "cludale"
DATABASE = "cludale"
INIT_SECONDS = 60
ASK_SECONDS = 20
CONNECTIONS = 200
"""Enough for some replicas of six services, and whoever looks in."""
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    # all statements are short and prepared
    "jit": "off",
}

TLS_SETTINGS = {"ssl": "on", "ssl_min_protocol_version": "TLSv1.3"}
"""Its certificate is where it looks by itself: `server.crt` and `server.key` in the cluster."""


class Postgres(Part):
    """The server. A folder that is empty becomes a new cluster with the database `cludale`."""

    # fast shutdown: connections are closed, a checkpoint is written
    stop_signal: ClassVar = signal.SIGINT
    stop_seconds: float = 20
    # immediate shutdown: ends its children too, and the next start recovers
    orphan_signal: ClassVar = signal.SIGQUIT

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        log: Path | None = None,
        max_connections: int = CONNECTIONS,
        tls: bool = False,
    ) -> None:
        """Data, password and (unless said otherwise) log go into `folder`; port 0 takes a free one, once.

        With `tls` nobody is let in without it.
        """
        super().__init__("postgres", log or folder / "postgres.log")
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.max_connections = max_connections
        self._has_tls = tls
        self._is_certified = False

    @property
    def url(self) -> str:
        """The address of the database `cludale` for its owner, who may do everything, with the password."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of another database on this server."""
        return self.url_as(kept_login(self.folder), database)

    def url_as(self, login: Login, database: str = DATABASE) -> str:
        """The same for another user."""
        address = f"postgresql://{login.user}:{login.password}@{LOOPBACK}:{self.port}/{database}"
        if not self._has_tls:
            return address
        return f"{address}?sslmode=verify-full&sslrootcert={quote(str(self.folder / CERTIFICATE), safe='')}"

    @property
    def _cluster(self) -> Path:
        return self.folder / "cluster"

    async def renew_login(self) -> Login:
        """Let another user in, from now on the one that is used; the former one, who still gets in. Raises PartFailed.

        Whatever is made belongs to the first of the two, whoever has logged in.
        """
        former = kept_login(self.folder)
        login = new_login(former)
        exists = f"SELECT FROM pg_roles WHERE rolname = '{login.user}'"
        await self.ask(
            f"DO $$ BEGIN IF NOT EXISTS ({exists}) THEN CREATE ROLE {login.user} SUPERUSER; END IF; END $$",
            f"ALTER ROLE {login.user} LOGIN PASSWORD '{login.password}'",
            f"ALTER ROLE {USERS[1]} SET role = '{USERS[0]}'" if login.user == USERS[1] else "SELECT",
        )
        keep_login(self.folder, login)
        return former

    async def end_login(self, former: Login) -> None:
        """Let that user in no more, and end its connections. Raises PartFailed."""
        await self.ask(
            f"ALTER ROLE {former.user} NOLOGIN PASSWORD NULL",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{former.user}'",  # noqa: S608 - ours
        )

    async def ask(self, *statements: str) -> None:
        """Carry these out one after the other, as the owner. Raises PartFailed."""
        import asyncpg  # noqa: PLC0415 - an extra

        try:
            connection = await asyncpg.connect(self.url, timeout=ASK_SECONDS, command_timeout=ASK_SECONDS)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()
        except (asyncpg.PostgresError, OSError, TimeoutError) as error:
            raise PartFailed(f"the database does not do it: {error or 'no answer'}") from error

    async def prepare(self) -> None:
        """Make the cluster if there is none yet. Raises PartFailed."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        user = user_instead_of_root()
        if not self._cluster.exists():
            await asyncio.to_thread(self._make_cluster, user)
        (self._cluster / "pg_hba.conf").write_text(
            f"{'hostssl' if self._has_tls else 'host'} all all {LOOPBACK}/32 scram-sha-256\n"
        )
        if self._has_tls and not self._is_certified:  # once: what runs beside it trusts this one
            certificate, _ = make_certificate(self._cluster, self.name)
            shutil.copyfile(certificate, self.folder / certificate.name)
            self._is_certified = True
        if user is not None:
            give(self._cluster, user)

    def _make_cluster(self, user: str | None) -> None:
        password = self.folder / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(new_password())
        # under another name until it is whole: a start that was cut off leaves no half of a cluster
        unfinished = self.folder / f"cluster.{secrets.token_hex(4)}"
        unfinished.mkdir(mode=0o700)
        if user is not None:
            give(unfinished, user)
        options = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        self._run([find("initdb"), "-D", unfinished, *options], user)
        self._run([find("postgres"), "--single", "-D", unfinished, "postgres"], user, f"CREATE DATABASE {DATABASE};\n")
        unfinished.rename(self._cluster)

    def _run(self, argv: Sequence[str | Path], user: str | None, sent: str = "") -> None:
        command = tethered(argv, when_orphaned=signal.SIGKILL, user=user)
        try:
            done = subprocess.run(
                command, input=sent, capture_output=True, text=True, timeout=INIT_SECONDS, check=False, cwd="/"
            )
        except subprocess.TimeoutExpired:
            raise PartFailed(f"{argv[0]} took more than {INIT_SECONDS} s") from None
        if done.returncode != 0:
            raise PartFailed(f"{argv[0]} failed: {(done.stderr or done.stdout).strip()}")

    def launch(self) -> Launch:
        """The server in the foreground."""
        chosen = {**SETTINGS, "max_connections": str(self.max_connections)}
        if self._has_tls:
            chosen |= TLS_SETTINGS
        settings = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
        argv: list[str | Path] = [find("postgres"), "-D", self._cluster, "-p", str(self.port), *settings]
        # the zone of the machine may be one that PostgreSQL does not know
        return Launch(argv, {"TZ": "UTC"}, user_instead_of_root(), self.folder)

    async def is_ready(self) -> bool:
        """The server itself writes into its pid file whether it takes connections."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        # the file of a server that was killed lies there until the next one has read it
        return len(lines) > 7 and lines[7].strip() == "ready" and lines[0] == str(self.pid)
