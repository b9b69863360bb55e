"""The console over plain HTTP, as a browser without scripts uses it: who may see it, what it shows, what it does."""

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.product.wiring.organizers import FIRST_KEY, bearer
from tests.product.wiring.platforms import put_on, running
from tests.served_here import served_here

from cludale.pages.api import Answer, InProcess
from cludale.pages.building import Pages
from cludale.pages.console import events
from cludale.pages.console.rehearsals import Asked, State
from cludale.runtime.history import STEP_SECONDS
from cludale.services import NAMES
from cludale.web.app import WebApp
from cludale.web.routing import Request
from cludale.wiring.platform import Platform

PAGES = ("", "/events", "/letters", "/order", "/chain", "/sale", "/rehearsal")
BODY = b'{"specversion":"1.0","id":"event-9","type":"OrderPaid","correlationid":"order-9","data":"<script>x</script>"}'


class Held:
    """Holds no rehearsal, and says that it does."""

    def __init__(self) -> None:
        self.state: State | None = None

    def start(self, asked: Asked) -> bool:
        if self.state is not None:
            return False
        self.state = State(asked)
        return True

    def stop(self) -> None:
        self.state = None


class Here(NamedTuple):
    """A platform, and a browser before it."""

    platform: Platform
    browser: httpx.AsyncClient

    async def get(self, path: str) -> httpx.Response:
        return await self.browser.get(f"/staff/console{path}")

    async def send(self, at: str, to: str, **fields: str) -> httpx.Response:
        """The first form at a page that goes to `to`, with its hidden fields, filled in and sent."""
        page = (await self.get(at)).text
        form = re.search(rf'<form method="post" action="/staff/console{re.escape(to)}".*?</form>', page, re.DOTALL)
        assert form, page
        hidden = re.findall(r'type="hidden" name="([\w-]+)" value="([^"]*)"', form[0])
        sent = {**{name: html.unescape(value) for name, value in hidden}, **fields}
        return await self.browser.post(f"/staff/console{to}", data=sent)

    async def sign_in(self, key: str = FIRST_KEY) -> None:
        page = (await self.browser.get("/staff/sign-in")).text
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        assert token
        await self.browser.post("/staff/sign-in", data={"csrf": token[1], "key": key})

    async def key(self, *scopes: str, **more: str) -> str:
        asked = {"name": "one", "scopes": scopes, **more}
        made = await self.browser.post("/concerts/-/keys", json=asked, headers=bearer(FIRST_KEY))
        return str(made.json()["key"])

    async def bought(self) -> str:
        wanted = {"concertId": "concert-1", "userId": "u", "quantity": 2}
        id = str((await self.browser.post("/orders", json=wanted)).json()["id"])
        await self.browser.get(f"/orders/{id}?wait=10", headers=bearer(FIRST_KEY))
        return id

    async def recorded(self, type: str) -> str:
        """The id of the latest event of this type, once there is one in the log."""
        for _ in range(200):
            found = await self.browser.get(f"/audit/events?type={type}&sort=-time", headers=bearer(FIRST_KEY))
            if items := found.json()["items"]:
                return str(items[0]["eventId"])
            await asyncio.sleep(0.05)
        raise AssertionError(type)

    async def bury(self, consumer: str = "orders", body: bytes = BODY, event: str = "event-9") -> None:
        await self.platform.dead_letters.bury(
            consumer, body, event_type="OrderPaid", event_id=event, reason="it <broke>", attempts=20
        )


class Late(InProcess):
    """Services of which all but concerts hear late of a session, as those in processes of their own do."""

    left = 0
    """How often they don't know it yet."""

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] = {},
        caller: Request | None = None,
    ) -> Answer:
        if self.left and not path.startswith("/concerts"):
            self.left -= 1
            return Answer(401, b"{}")
        return await super().ask(method, path, body, headers=headers, caller=caller)


@asynccontextmanager
async def made(
    folder: Path, rehearsals: Held | None = None, services: InProcess | None = None, **changes: Any
) -> AsyncIterator[Here]:
    async with running(folder, organizer_key=FIRST_KEY, **changes) as platform:
        services = services or InProcess()
        pages = Pages(services, now=platform.clock.now, services=NAMES, rehearsals=rehearsals)
        app = WebApp(
            platform.services,
            is_ready=lambda: True,
            gauges=platform.gauges,
            version="0",
            internal=pages.routes,
            requests=platform.requests,
            limits=platform.limits,
        )
        services.find = app.router.find
        async with served_here(app) as browser:
            await put_on(platform, seats=50)
            yield Here(platform, browser)
        await pages.stop()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with made(tmp_path, Held()) as found:
        yield found


@asynccontextmanager
async def streamed(here: Here, path: str) -> AsyncIterator[httpx.Response]:
    """An answer that does not end, which is read as it comes."""
    own = httpx.AsyncClient(base_url=here.browser.base_url, cookies=here.browser.cookies, timeout=10)
    async with own as client, client.stream("GET", path) as stream:
        yield stream


async def test_who_may_not_operate_is_told_so_and_nobody_gets_in_unsigned(here: Here) -> None:
    for path in (*PAGES, "/figures", "/events-now", "/sale/then", "/rehearsal-now", "/letters/x"):
        away = await here.get(path)
        assert (away.status_code, away.headers["location"].startswith("/staff/sign-in")) == (303, True), path
    await here.sign_in(await here.key("read", "refund", "sell", "catalogue"))
    for path in (*PAGES, "/figures", "/events-now", "/sale/then", "/rehearsal-now", "/letters/x?service=orders"):
        page = await here.get(path)
        assert (page.status_code, "operate" in page.text) == (403, True), path
    assert "/staff/console" not in (await here.browser.get("/staff")).text
    for path in ("/letters", "/chain", "/chain/part", "/rehearsal", "/rehearsal/end"):
        assert (await here.browser.post(f"/staff/console{path}", data={"service": "orders"})).status_code == 403, path
    await here.sign_in(await here.key("operate"))
    assert [(await here.get(path)).status_code for path in PAGES] == [200, 403, 200, 403, 200, 200, 200]


async def test_every_page_is_strict_in_four_languages_and_no_form_of_another_site_is_taken(here: Here) -> None:
    await here.sign_in()
    for code, word in (("de", "Überblick"), ("fr", "Vue d\u2019ensemble"), ("es", "Resumen")):
        assert re.search(word, (await here.get(f"/rehearsal?lang={code}")).text), code
    for path in PAGES:
        page = await here.get(f"{path}?lang=en")
        assert (page.status_code, "Overview" in page.text) == (200, True), path
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r"<script>|style=|onclick|https?://(?!www.w3.org)", page.text), path
    for path in ("/letters", "/chain", "/chain/part", "/rehearsal", "/rehearsal/end"):
        assert (await here.browser.post(f"/staff/console{path}", data={"service": "orders"})).status_code == 403, path


async def test_what_happened_is_in_the_overview_and_comes_by_itself(here: Here) -> None:
    await here.bought()
    refused = await here.browser.post("/orders", json={"concertId": "concert-1", "userId": "u", "quantity": 9})
    until = here.platform.histories.of("orders").until
    assert until is not None
    here.platform.histories.note(round(until.timestamp()) // STEP_SECONDS)
    await here.sign_in()
    page = (await here.get("")).text
    assert refused.status_code == 422
    assert "1 in ten minutes" in page
    assert f"<code>{refused.json()['type'].rpartition('/')[2]}</code>" in page
    async with streamed(here, "/staff/console/figures") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert "set-cookie" not in stream.headers
        line = await anext(stream.aiter_lines())
    assert "Orders a second" in json.loads(line.removeprefix("data: "))


async def test_the_last_events_come_by_type_and_concert_and_page_by_page(here: Here) -> None:
    for _ in range(6):
        await here.bought()
    await here.sign_in()
    page = (await here.get("/events?type=OrderPaid&concert=concert-1")).text
    assert page.count("<summary>") == 6
    assert "/staff/console/events-now?type=OrderPaid&amp;concert=concert-1" in page
    whole = (await here.get("/events")).text
    onward = re.search(r'href="/staff/console/events(\?after=[^"]+)"', whole)
    assert onward
    assert "The last events" in (await here.get(f"/events{html.unescape(onward[1])}")).text
    assert "Nothing like this" in (await here.get("/events?type=<script>")).text
    async with streamed(here, "/staff/console/events-now?type=OrderPaid") as stream:
        line = await anext(stream.aiter_lines())
    assert json.loads(line.removeprefix("data: ")).count("<li>") == 6


async def test_a_dead_letter_is_looked_at_and_delivered_again(here: Here) -> None:
    order = await here.bought()
    event = await here.recorded("OrderPaid")
    await here.bury("notifications", await body_of(here, event), event)
    await here.bury()
    await here.sign_in()
    page = (await here.get("/letters")).text
    assert (page.count("it &lt;broke&gt;"), page.count("again</button>")) == (2, 2)
    one = re.search(r'href="/staff/console(/letters/[^"]+notifications)"', page)
    assert one
    shown = (await here.get(one[1])).text
    assert order in shown
    done = await here.send(one[1], "/letters")
    assert "1 of 1 were taken." in done.text
    other = await here.send("/letters?service=orders", "/letters")
    assert "0 of 1 were taken." in other.text
    assert "be handled" in other.text
    assert "<script>x" not in (await here.get("/letters/" + letter_of(other.text))).text
    assert "None was" not in (await here.get("/letters?service=notifications&state=Delivered")).text
    assert "every event was handled" in (await here.get("/letters?service=notifications")).text
    assert (await here.get("/letters?service=nobody")).status_code == 200
    assert (await here.get("/letters/none?service=orders")).status_code == 404


def letter_of(page: str) -> str:
    found = re.search(r'href="/staff/console/letters/([^"]+service=orders)"', page)
    assert found
    return found[1]


async def body_of(here: Here, event: str) -> bytes:
    """An event as it was on the wire."""
    from cludale.services.audit import store  # noqa: PLC0415
    from cludale.services.audit.segments import entries_by_id  # noqa: PLC0415

    return store.numbered_event((await entries_by_id(here.platform.store, [event]))[event])[1]


async def test_an_order_is_told_across_all_services_and_the_chain_is_checked(here: Here) -> None:
    order = await here.bought()
    await here.sign_in()
    assert order in (await here.get("/order")).text
    await here.recorded("NotificationSent")
    page = (await here.get(f"/order?id={order}")).text
    assert "caused by 3" in page
    assert page.count("<circle") == page.count('<li id="n')
    missing = await here.get("/order?id=order-nothing")
    assert (missing.status_code, "nothing of an order" in missing.text) == (404, True)
    done = await here.send("/chain", "/chain")
    assert "The chain holds" in done.text
    token = re.search(r'name="csrf" value="([^"]+)"', done.text)
    assert token
    part = await here.browser.post("/staff/console/chain/part", data={"csrf": token[1]})
    assert "The chain holds" in part.text
    assert "<html" not in part.text
    wrong = await here.browser.post("/staff/console/chain", data={"csrf": token[1], "after": "nonsense"})
    assert wrong.status_code == 422


async def test_a_sale_is_shown_as_it_stood_and_a_rehearsal_is_started_once_and_ended(here: Here) -> None:
    await here.bought()
    await here.recorded("SeatsSold")
    await here.sign_in()
    now = (await here.get("/sale?concert=concert-1")).text
    assert "<strong>48</strong> Left" in now
    assert "The Larks" in now
    before = (await here.get("/sale?concert=concert-1&at=2020-01-01T00:00:00Z")).text
    assert "<strong>0</strong> Left" in before
    part = (await here.get("/sale/then?concert=concert-1&day=2020-01-01&time=10:00:00")).text
    assert "2020-01-01 at 10:00:01 UTC" in part
    assert "<html" not in part
    for query, status in (("concert=none", 404), ("concert=concert-1&at=soon", 422), ("concert=concert-1&day=x", 422)):
        assert (await here.get(f"/sale?{query}")).status_code == status, query
    wrong = await here.send("/rehearsal", "/rehearsal", seats="0", buyers="many")
    assert (wrong.status_code, wrong.text.count("A whole number")) == (422, 2)
    started = await here.send("/rehearsal", "/rehearsal", seats="10", buyers="20")
    assert started.headers["location"] == "/staff/console/rehearsal"
    page = (await here.get("/rehearsal")).text
    assert "20 buyers for 10 seats" in page
    assert (await here.send("/rehearsal", "/rehearsal", seats="10", buyers="20")).status_code == 409
    await here.send("/rehearsal", "/rehearsal/end")
    assert "20 buyers" not in (await here.get("/rehearsal")).text


async def test_an_open_console_does_not_use_up_the_requests_of_who_sits_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.01)
    async with made(tmp_path, key_requests=40) as here:
        await here.sign_in()
        async with streamed(here, "/staff/console/events-now"):
            await asyncio.sleep(0.5)
        assert (await here.get("/events")).status_code == 200


async def test_where_nothing_can_be_rehearsed_the_page_says_what_to_do(tmp_path: Path) -> None:
    async with made(tmp_path) as here:
        await here.sign_in()
        page = (await here.get("/rehearsal")).text
        assert f"cludale rehearse --url {str(here.browser.base_url).rstrip('/')} --seats" in page
        assert ("rehearse --apart" in page, "Start the rehearsal" in page) == (True, False)


async def test_who_has_just_signed_in_is_not_signed_out_by_a_process_that_does_not_know_it_yet(tmp_path: Path) -> None:
    late = Late()
    async with made(tmp_path, services=late) as here:
        await here.sign_in()
        late.left = 2
        shown = await here.get("/events")
        assert (shown.status_code, late.left) == (200, 0)
        late.left = 100
        away = await here.get("/events")
        assert (away.status_code, away.headers["location"]) == (303, "/staff/sign-in?next=%2Fstaff%2Fconsole%2Fevents")
