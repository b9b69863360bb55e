"""A release in its trial calls services of its own release: those at the label green, not those that have the traffic.

What a sidecar calls has the traffic, and a sidecar whose app takes no events yet lets no calls through. So these go
past it, to the label's address in Container Apps or to the gateway, which both reach an app without its sidecar.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from cludale.web.client import Client
from cludale.web.http1 import ClientResponse

LABEL = {"x-cludale-label": "green"}
"""What a gateway goes by; in Container Apps the address says it."""


class Trial(NamedTuple):
    """Where services are called instead, while a release is tried that takes no events yet."""

    url: str
    is_on: Callable[[], bool]


class CallsOfATrial:
    """A client that asks `trial` while `is_on_trial` says so, and `usual` from then on."""

    def __init__(self, usual: Client, trial: Client, is_on_trial: Callable[[], bool]) -> None:
        self._usual = usual
        self._trial = trial
        self._is_on_trial = is_on_trial

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        traceparent: str | None = None,
        repeatable: bool = False,
    ) -> ClientResponse:
        """The answer, whatever its status. Raises NoAnswer."""
        client = self._trial if self._is_on_trial() else self._usual
        return await client.ask(method, path, body, headers=headers, traceparent=traceparent, repeatable=repeatable)

    async def close(self) -> None:
        """Close the connections of both."""
        await self._usual.close()
        await self._trial.close()
