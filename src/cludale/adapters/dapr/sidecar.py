"""The sidecar as a server: what is asked of it, with its token, over kept-alive connections, on loopback."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from cludale.kernel.refusals import Busy
from cludale.ports.tracing import UNTRACED
from cludale.web.client import Client, NoAnswer
from cludale.web.http1 import ClientResponse, Target

HOST = "127.0.0.1"
CONNECTIONS = 64
LOOK_SECONDS = 2.0
"""For questions that the sidecar answers by itself."""
SECRET_SECONDS = 10.0
AGAIN_SECONDS = 0.25
"""Between two looks at a sidecar that isn't there yet."""

_log = logging.getLogger(__name__)


class SidecarAway(Busy):
    """The Dapr sidecar can't be reached, or did not answer in time."""


class SecretMissing(Exception):
    """The secret store can't be asked, or refuses."""


class _Component(msgspec.Struct):
    name: str
    type: str


class _Metadata(msgspec.Struct):
    components: list[_Component] = []


class Sidecar:
    """The Dapr sidecar of this process."""

    def __init__(self, port: int, token: str | None, *, trust: ssl.SSLContext | None = None) -> None:
        """With `trust` it is asked over TLS, and nobody but whom that trusts."""
        self.port = port
        self._client = Client(
            Target(HOST, port, tls=trust is not None),
            trust=trust,
            connections=CONNECTIONS,
            timeout_seconds=LOOK_SECONDS,
            headers={"traceparent": UNTRACED, **({"dapr-api-token": token} if token else {})},
        )
        self._components: Mapping[str, str] | None = None

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        traceparent: str | None = None,
        repeatable: bool = False,
    ) -> ClientResponse:
        """The sidecar's answer, whatever its status; recorded by it as `traceparent` says. Raises SidecarAway."""
        try:
            return await self._client.ask(
                method,
                path,
                body,
                headers=headers,
                timeout_seconds=timeout_seconds,
                traceparent=traceparent,
                repeatable=repeatable,
            )
        except NoAnswer as error:
            raise SidecarAway(f"the Dapr sidecar gave no answer: {error}") from error

    async def is_healthy(self) -> bool:
        """Are the sidecar and its components up? Without regard to this service, which it may be waiting for."""
        try:
            answer = await self.ask("GET", "/v1.0/healthz/outbound", timeout_seconds=LOOK_SECONDS, repeatable=True)
        except SidecarAway:
            return False
        return 200 <= answer.status < 300

    async def wait(self, seconds: float) -> None:
        """Until it is healthy, however long that takes; says so loudly every `seconds`."""
        loop = asyncio.get_running_loop()
        began, said = loop.time(), 1
        while not await self.is_healthy():
            if loop.time() - began >= said * seconds:
                said += 1
                _log.error(
                    "no healthy Dapr sidecar at %s:%d for %.0f s (DAPR_HTTP_PORT): nothing is published, taken or "
                    "called until there is one",
                    HOST,
                    self.port,
                    loop.time() - began,
                )
            await asyncio.sleep(AGAIN_SECONDS)
        if said > 1:
            _log.warning("the Dapr sidecar is there now")

    async def components(self) -> Mapping[str, str]:
        """The names and types of the components that it has loaded; kept once known. Raises SidecarAway."""
        if self._components is None:
            answer = await self.ask("GET", "/v1.0/metadata", timeout_seconds=LOOK_SECONDS, repeatable=True)
            if answer.status != 200:
                raise SidecarAway(f"the Dapr sidecar answered {answer.status} to a look at its components")
            try:
                found = msgspec.json.decode(answer.body, type=_Metadata).components
            except msgspec.MsgspecError as error:
                raise SidecarAway(f"the Dapr sidecar's metadata can't be read: {error}") from error
            self._components = {each.name: each.type for each in found}
        return self._components

    async def secret(self, store: str, name: str) -> str | None:
        """The secret's value, None if there is none of that name for this app. Raises SidecarAway, SecretMissing."""
        path = f"/v1.0/secrets/{quote(store)}/{quote(name)}"
        answer = await self.ask("GET", path, timeout_seconds=SECRET_SECONDS, repeatable=True)
        if answer.status in (204, 403) or (answer.status != 200 and _says_not_found(answer)):
            return None
        if answer.status != 200:
            raise SecretMissing(f"secret store {store!r} answered {answer.status}: {answer.body[:300]!r}")
        try:
            values = msgspec.json.decode(answer.body, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise SecretMissing(f"secret store {store!r} answered something else than a secret: {error}") from error
        # A store of plain values gives {name: value}; one of several values a secret may call it otherwise.
        value = values.get(name) or next(iter(values.values()), None)
        return str(value) if value else None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _says_not_found(answer: ClientResponse) -> bool:
    """Stores say in their own words, with a 500, that they have no such secret."""
    said = answer.body.lower()
    is_store_missing = b"err_secret_store" in said
    return not is_store_missing and any(words in said for words in (b"not found", b"notfound", b"not exist"))
