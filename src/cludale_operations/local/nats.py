"""A NATS server with JetStream on loopback, over a folder of its own. An acknowledged message is on the disk."""

import asyncio
import json
import signal
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import ClassVar

from cludale.web.trust import naming, trust_named_in
from cludale_operations.local.certificate import CERTIFICATE, Certificate, make_certificate
from cludale_operations.local.find import find
from cludale_operations.local.free_ports import LOOPBACK, free_ports
from cludale_operations.local.jetstream import BrokerRefused, jetstream, permissions_of
from cludale_operations.local.logins import Login, keep_login, kept_login, new_login
from cludale_operations.local.part import Launch, Part, PartFailed, answers

RELOAD_SECONDS = 20


class Nats(Part):
    """The server. What its streams hold outlives it."""

    stop_signal: ClassVar = signal.SIGTERM

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        log: Path | None = None,
        tls: bool = False,
        services: Collection[str] = (),
    ) -> None:
        """Data, password, configuration and (unless said otherwise) log go into `folder`; port 0 takes a free one.

        With `tls` nobody is let in without it, at the monitoring neither. Each of the `services` has a user of its own,
        whose passwords are made now and when they are renewed, and kept in the configuration alone.
        """
        super().__init__("nats", log or folder / "nats.log")
        self.folder = folder.resolve()
        free, self.monitoring_port = free_ports(2)
        self.port = port or free
        self._has_tls = tls
        self._certificate: Certificate | None = None
        self._logins = {service: new_login(of=service) for service in services}

    @property
    def url(self) -> str:
        """The server's address for who may do everything there, with the password and whom to trust."""
        return self._url_as(kept_login(self.folder))

    def url_of(self, service: str) -> str:
        """The same for a service, which tells its own events and hears those for it."""
        return self._url_as(self._logins[service])

    def _url_as(self, login: Login) -> str:
        scheme = "tls" if self._has_tls else "nats"
        return f"{scheme}://{login.user}:{login.password}@{LOOPBACK}:{self.port}{self._trusting}"

    @property
    def monitoring_url(self) -> str:
        """Where it tells how it is: `/healthz`, `/jsz?consumers=true`, …"""
        return f"{self.http_url}{self._trusting}"

    @property
    def http_url(self) -> str:
        """The same without whom to trust."""
        return f"http{'s' if self._has_tls else ''}://{LOOPBACK}:{self.monitoring_port}"

    @property
    def _trusting(self) -> str:
        return naming(self.folder / CERTIFICATE) if self._has_tls else ""

    async def prepare(self) -> None:
        """Write the configuration; the password is made once."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.folder / "password").exists():
            keep_login(self.folder, new_login())
        if self._has_tls and self._certificate is None:  # once: what runs beside it trusts this one
            self._certificate = make_certificate(self.folder, self.name)
        self._configure(kept_login(self.folder), services=self._logins.items())

    async def renew_login(self) -> Login:
        """Let other users in, who are used from now on; the former one, who still gets in. Raises PartFailed."""
        former, formers = kept_login(self.folder), self._logins
        login = new_login(former)
        self._logins = {service: new_login(each, of=service) for service, each in formers.items()}
        self._configure(former, login, services=[*formers.items(), *self._logins.items()])
        self.signal(signal.SIGHUP)
        keep_login(self.folder, login)
        await self._lets_in()
        return former

    async def end_login(self, former: Login) -> None:  # noqa: ARG002 - who is not named is not let in
        """Let nobody in but the one that is used; whoever is there as another is sent away."""
        self._configure(kept_login(self.folder), services=self._logins.items())
        self.signal(signal.SIGHUP)
        await self._lets_in()

    async def _lets_in(self) -> None:
        """Return when it takes the login that is used. Raises PartFailed."""
        why: Exception | None = None
        for _ in range(RELOAD_SECONDS * 10):
            try:
                async with jetstream(self.url):
                    return
            except (BrokerRefused, TimeoutError) as error:
                why = error
                await asyncio.sleep(0.1)
        raise PartFailed(f"nats does not take its new password: {why}")

    def _configure(self, *logins: Login, services: Iterable[tuple[str, Login]]) -> None:
        users = [each._asdict() for each in logins]
        users += [{**each._asdict(), "permissions": permissions_of(service)} for service, each in services]
        configuration = self.folder / "nats.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            json.dumps(
                {
                    "listen": f"{LOOPBACK}:{self.port}",
                    **self._monitored(),
                    "server_name": "cludale",
                    # by default a message is acknowledged first and written to the disk within two minutes
                    "jetstream": {"store_dir": str(self.folder / "jetstream"), "sync_interval": "always"},
                    "authorization": {"users": users},
                    "max_payload": 2**20,
                },
                indent=2,
            )
        )

    def _monitored(self) -> dict[str, object]:
        there = f"{LOOPBACK}:{self.monitoring_port}"
        if self._certificate is None:
            return {"http": there}
        certificate, key = map(str, self._certificate)
        return {"https": there, "tls": {"cert_file": certificate, "key_file": key, "min_version": "1.3"}}

    def launch(self) -> Launch:
        """The server in the foreground."""
        return Launch([find("nats-server"), "-c", self.folder / "nats.conf"])

    async def is_ready(self) -> bool:
        """JetStream has recovered its streams."""
        return await answers(f"{self.http_url}/healthz", trust=trust_named_in(self.monitoring_url))
