"""What NATS and RabbitMQ have in common as parts: a folder, an address on loopback, TLS if wanted, and logins."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

from cludale.web.trust import naming
from cludale_operations.local.certificate import CERTIFICATE, Certificate, make_certificate
from cludale_operations.local.logins import Login, keep_login, kept_login, new_login
from cludale_operations.local.part import Part

NamedLogins = Collection[tuple[str, Login]]
"""Logins with the service that each is for."""


class BrokerPart(Part):
    """A broker. What its streams or queues hold outlives it."""

    kind: ClassVar[str]
    """Its name, in messages and as that of its log."""
    watchers: ClassVar[Collection[str]] = ()
    """Users beside those of the services, who may only look at its figures."""

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
        whose passwords are made now and when they are renewed, and kept in the broker's own files alone.
        """
        super().__init__(self.kind, log or folder / f"{self.kind}.log")
        self.folder = folder.resolve()
        free = self._take_ports()
        self.port = port or free
        self._has_tls = tls
        self._certificate: Certificate | None = None
        self._logins = {each: new_login(of=each) for each in (*services, *self.watchers)} if services else {}

    @abstractmethod
    def _take_ports(self) -> int:
        """A free port for its address; takes the other ports that it needs."""

    @abstractmethod
    def _url_as(self, login: Login) -> str:
        """Its address for this user."""

    @abstractmethod
    def _configure(self, owners: Collection[Login], services: NamedLogins) -> None:
        """Write down who is let in."""

    @abstractmethod
    async def _let_in(self, owners: Sequence[Login], services: NamedLogins) -> None:
        """Write down who is let in, and have the running broker heed it. Raises PartFailed."""

    @property
    def url(self) -> str:
        """Its address for who may do everything there, with the password and whom to trust."""
        return self._url_as(kept_login(self.folder))

    def url_of(self, service: str) -> str:
        """The same for a service, which publishes its own events and hears those for it."""
        return self._url_as(self._logins[service])

    @property
    def _trusting(self) -> str:
        """The end of an address that says whom to trust there."""
        return naming(self.folder / CERTIFICATE) if self._has_tls else ""

    async def prepare(self) -> None:
        """Make password and certificate, each once, and write down who is let in."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.folder / "password").exists():
            keep_login(self.folder, new_login())
        if self._has_tls and self._certificate is None:  # once: what runs beside it trusts this one
            self._certificate = make_certificate(self.folder, self.name)
        self._configure([kept_login(self.folder)], self._logins.items())

    async def renew_login(self) -> Login:
        """Let other users in, who are used from now on; the former one, who still gets in. Raises PartFailed."""
        former, formers = kept_login(self.folder), self._logins
        login = new_login(former)
        self._logins = {service: new_login(each, of=service) for service, each in formers.items()}
        await self._let_in([former, login], [*formers.items(), *self._logins.items()])
        keep_login(self.folder, login)
        return former
