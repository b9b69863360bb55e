"""A platform with the keys and concerts of two organizers, behind its real connections."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.product.wiring.platforms import running
from tests.served_here import served_here

from cludale.services import NAMES
from cludale.web.app import WebApp
from cludale.wiring.networks import inside
from cludale.wiring.platform import Platform

FIRST_KEY = "organizer"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


class Office:
    """Somebody who calls the platform, as whoever they say."""

    def __init__(self, platform: Platform, client: httpx.AsyncClient) -> None:
        self.platform = platform
        self.client = client
        self.signed_in: dict[str, str] = {}
        """Session → the key that opened it."""

    async def ask(self, method: str, path: str, key: str | None = FIRST_KEY, **request: Any) -> httpx.Response:
        return await self.client.request(method, path, headers=bearer(key) if key else {}, **request)

    async def new_key(self, *scopes: str, organizer: str = "default", **more: Any) -> str:
        """A key: the bearer token."""
        body = {"name": "box office", "scopes": scopes, "organizer": organizer, **more}
        made = await self.ask("POST", "/concerts/-/keys", json=body)
        assert made.status_code == 201, made.text
        key: str = made.json()["key"]
        return key

    async def sign_in(self, key: str) -> str:
        """A session: the bearer token."""
        began = await self.ask("POST", "/concerts/-/sessions", None, json={"key": key})
        assert began.status_code == 201, began.text
        token: str = began.json()["token"]
        self.signed_in[token] = key
        return token

    async def sign_in_again(self, token: str | None) -> str:
        """Another session, with the same key as this one."""
        return await self.sign_in(self.signed_in[token or ""])

    async def concert(self, id: str, key: str = FIRST_KEY, **more: Any) -> None:
        body = {"id": id, "artist": "The Larks", "date": "2099-06-05", "totalSeats": 90, **more}
        made = await self.ask("POST", "/concerts", key, json=body)
        assert made.status_code == 201, made.text

    async def order(self, concert_id: str) -> dict[str, Any]:
        """An order that is paid."""
        body = {"concertId": concert_id, "userId": "u", "quantity": 1}
        made = await self.ask("POST", "/orders", None, json=body)
        assert made.status_code == 201, made.text
        order: dict[str, Any] = made.json()
        await self.ask("GET", f"/orders/{order['id']}?wait=10", order["accessToken"])
        return order


@asynccontextmanager
async def office(folder: Path, only: Collection[str] = NAMES, **changes: object) -> AsyncIterator[Office]:
    async with running(folder, only, **changes) as platform:
        app = WebApp(
            platform.services,
            is_ready=lambda: True,
            gauges=platform.gauges,
            version="0",
            internal=platform.internal,
            admit=platform.admit,
            limits=platform.limits,
            inside=inside(platform.settings),
        )
        async with served_here(app) as client:
            yield Office(platform, client)
