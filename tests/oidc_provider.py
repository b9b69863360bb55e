"""oidc-provider 9.13.3, a certified OpenID Connect issuer that others wrote: `make oidc-provider` installs it."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
from tests.parts import need

ROOT = Path(__file__).parents[1]
CLIENT, SECRET = "cludale", "not a secret: for tests"
PEOPLE = {
    "ada": {"name": "Ada Lark", "roles": ["box-office", "unheard-of"]},
    "ben": {"name": "Ben", "roles": ["acme"]},
    "cyd": {"name": "Cyd", "roles": ["unheard-of"]},
    "dot": {"name": "Dot", "roles": ["box-office", "acme"]},
    "eve": {"name": "Eve"},
    "fay": {"name": "Fay", "roles": ["operators"]},
}


class Provider:
    """It, and somebody at a browser before it."""

    def __init__(self, issuer: str, process: "subprocess.Popen[str]") -> None:
        self.issuer = issuer
        self._process = process

    def rotate(self, **client: Any) -> None:
        """From now on it signs with another key, has no sessions, and knows that of its client, too."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(client)}\n")
        self._process.stdin.flush()
        assert any(line.strip() == "rotated" for line in self._process.stdout)  # it may say other things before

    def browser(self) -> httpx.AsyncClient:
        """Somebody's, before it."""
        return httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_keepalive_connections=0))

    async def signed_out(self, url: str, browser: httpx.AsyncClient) -> str:
        """Where it leads whoever says, at `url`, that they want to be signed out; its session is over then."""
        asked = await browser.get(url)
        assert asked.status_code == 200, asked.text
        fields = dict(re.findall(r'name="(\w+)" value="([^"]+)"', asked.text))
        action = re.search(r'action="([^"]+)"', asked.text)
        assert action is not None, asked.text
        answer = await browser.post(action[1], data={**fields, "logout": "yes"})
        return str(answer.headers["location"])

    async def signed_in(self, url: str, person: str, browser: httpx.AsyncClient | None = None) -> Mapping[str, str]:
        """What comes back to the platform when this person signs in at `url`, through its own forms."""
        async with AsyncExitStack() as stack:
            its: httpx.AsyncClient = browser if browser is not None else await stack.enter_async_context(self.browser())
            answer = await its.get(url)
            for _ in range(12):
                if answer.is_redirect:
                    at = urljoin(str(answer.url), answer.headers["location"])
                    if not at.startswith(self.issuer):
                        return dict(parse_qsl(urlsplit(at).query))
                    answer = await its.get(at)
                    continue
                form = re.search(r'action="([^"]+)"', answer.text)
                assert form is not None, answer.text
                prompt = re.search(r'name="prompt" value="([^"]+)"', answer.text)
                assert prompt is not None, answer.text
                answer = await its.post(
                    urljoin(str(answer.url), form[1]), data={"prompt": prompt[1], "login": person, "password": "x"}
                )
        raise AssertionError("it never came back")


@contextmanager
def running_provider(folder: Path, back_to: str) -> Iterator[Provider]:
    """It, with `PEOPLE`. Without it the test is left out, in CI it fails."""
    installed = need("oidc-provider")
    people, client = folder / "people.json", folder / "client.json"
    people.write_text(json.dumps(PEOPLE))
    client.write_text(
        json.dumps(
            {
                "client_id": CLIENT,
                "client_secret": SECRET,
                "redirect_uris": [back_to],
                "post_logout_redirect_uris": [back_to.removesuffix("/back")],
            }
        )
    )
    with subprocess.Popen(
        ["node", str(ROOT / "tools/oidc-provider/serve.js"), str(installed), str(people), str(client)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            issuer = process.stdout.readline().strip()
            assert issuer.startswith("http://"), f"the issuer said {issuer!r}"
            yield Provider(issuer, process)
        finally:
            process.kill()
