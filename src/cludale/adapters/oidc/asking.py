"""How the issuer is asked: by httpx, with an end to everything that it says, and nowhere else than where it said."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx

from cludale.ports.issuer import IssuerUnreachable

TIMEOUT_SECONDS = 5.0
"""For all of one answer."""
MOST_BYTES = 262_144
CONNECTIONS = 4


class Refused(Exception):
    """The issuer answered with an OAuth error."""

    def __init__(self, error: str) -> None:
        super().__init__(f"the issuer refused: {error}")
        self.error = error


class Asking:
    """A client of one issuer."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._client = httpx.AsyncClient(
            timeout=timeout_seconds,
            follow_redirects=False,
            # one that it closes just then would be a sign-in that failed
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=0),
        )

    async def get(self, url: str, *, bearer: str | None = None) -> dict[str, Any]:
        """The object that is there. Raises IssuerUnreachable."""
        headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
        status, said = await self._ask("GET", url, headers)
        if status != 200:
            raise IssuerUnreachable(f"{url} answered {status}")
        return said

    async def post(self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a form. Raises Refused, IssuerUnreachable."""
        status, said = await self._ask("POST", url, headers, form)
        if status == 200:
            return said
        if 400 <= status < 500 and isinstance(said.get("error"), str):
            raise Refused(said["error"][:80])
        raise IssuerUnreachable(f"{url} answered {status}")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        sent = {"accept": "application/json", **headers}
        body = b""
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),  # httpx's own is for each piece of it
                self._client.stream(method, url, headers=sent, data=form) as answer,
            ):
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise IssuerUnreachable(f"{url} says more than {MOST_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise IssuerUnreachable(f"{url}: {type(error).__name__}") from error
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise IssuerUnreachable(f"{url} answered {answer.status_code} with no object")
        return answer.status_code, said
