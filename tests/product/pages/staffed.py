"""Somebody who works at the desk with a browser without scripts."""

import re
from html import unescape

import httpx
from tests.served import Served

from cludale_operations.trust import trust_at


class Staff:
    """Somebody at the desk."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=20, verify=trust_at(url))

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def send(self, at: str, to: str, /, **fields: str) -> httpx.Response:
        """The form at a page, with its hidden fields, filled in and sent."""
        page = self.get(at).text
        form = re.search(rf'action="{re.escape(to)}".*?</form>', page, re.DOTALL)
        assert form, page
        return self.again(to, form[0], **fields)

    def again(self, to: str, form: str, /, **fields: str) -> httpx.Response:
        hidden = re.findall(r'type="hidden" name="([\w-]+)" value="([^"]*)"', form)
        return self.http.post(to, data={**{name: unescape(value) for name, value in hidden}, **fields})


def key_for(shop: Served, *scopes: str, **more: str) -> str:
    asked = {"name": "one", "scopes": scopes, **more}
    made: str = shop.http.post("/concerts/-/keys", json=asked, headers=shop.organizer).json()["key"]
    return made
