"""A NATS server with JetStream on loopback, over a folder of its own. An acknowledged message is on the disk."""

import asyncio
import json
import signal
from collections.abc import Collection, Sequence
from typing import ClassVar

from cludale.web.trust import trust_named_in
from cludale_operations.local.brokers import BrokerPart, NamedLogins
from cludale_operations.local.find import find
from cludale_operations.local.free_ports import LOOPBACK, free_ports
from cludale_operations.local.jetstream import BrokerRefused, jetstream, permissions_of
from cludale_operations.local.logins import Login, kept_login
from cludale_operations.local.part import Launch, PartFailed, answers

RELOAD_SECONDS = 20


class Nats(BrokerPart):
    """The server."""

    kind: ClassVar = "nats"

    def _take_ports(self) -> int:
        free, self.monitoring_port = free_ports(2)
        return free

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

    async def end_login(self, former: Login) -> None:  # noqa: ARG002 - who is not named is not let in
        """Let nobody in but the one that is used; whoever is there as another is sent away. Raises PartFailed."""
        await self._let_in([kept_login(self.folder)], self._logins.items())

    async def _let_in(self, owners: Sequence[Login], services: NamedLogins) -> None:
        self._configure(owners, services)
        self.signal(signal.SIGHUP)
        why: Exception | None = None
        for _ in range(RELOAD_SECONDS * 10):
            try:
                async with jetstream(self._url_as(owners[-1])):
                    return
            except (BrokerRefused, TimeoutError) as error:
                why = error
                await asyncio.sleep(0.1)
        raise PartFailed(f"nats does not take its new password: {why}")

    def _configure(self, owners: Collection[Login], services: NamedLogins) -> None:
        users = [each._asdict() for each in owners]
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
