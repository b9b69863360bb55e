"""The door's page over HTTP: pairing, and what its forms and its script are answered."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.product.pages.test_staff import csrf, send, site
from tests.product.wiring.organizers import FIRST_KEY, bearer

from cludale.pages.door.device import door_of
from cludale.pages.door.entrance import RESULTS, UNDO_REASONS
from cludale.services.tickets.door import Result
from cludale.services.tickets.events import UndoReason

SCRIPT_BYTES = 15_000
ASKING = {"accept": "application/json"}


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with site(tmp_path) as made:
        date = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="seconds")
        concert = {"id": "ours", "artist": "The Larks", "date": date, "totalSeats": 50}
        await made.post("/concerts", json=concert, headers=bearer(FIRST_KEY))
        yield made


async def code_for(browser: httpx.AsyncClient, name: str) -> str:
    body = {"name": name, "concertId": "ours"}
    code: str = (await browser.post("/concerts/-/door/codes", json=body, headers=bearer(FIRST_KEY))).json()["code"]
    return code


async def pair(browser: httpx.AsyncClient, name: str = "north door") -> httpx.Response:
    return await send(browser, "/door", "/door/pair", code=await code_for(browser, name))


async def sold(browser: httpx.AsyncClient) -> str:
    """The code of a ticket."""
    order = (await browser.post("/orders", json={"concertId": "ours", "userId": "u", "quantity": 1})).json()["id"]
    await browser.get(f"/orders/{order}?wait=5", headers=bearer(FIRST_KEY))
    for _ in range(200):
        answer = await browser.get(f"/tickets?order={order}", headers=bearer(FIRST_KEY))
        if answer.is_success:
            break
    code: str = answer.json()["items"][0]["code"]
    return code


async def test_a_device_is_paired_once_and_its_key_is_in_no_page(browser: httpx.AsyncClient) -> None:
    assert "Pair this phone" in (await browser.get("/door")).text
    code = await code_for(browser, "Norðtür №2")
    entered = await send(browser, "/door", "/door/pair", code=code.lower())
    assert (entered.status_code, entered.headers["location"]) == (303, "/door")
    (kept,) = (each for each in entered.headers.get_list("set-cookie") if each.startswith("door="))
    assert {"HttpOnly", "SameSite=Lax"} <= {each.strip() for each in kept.split(";")}
    page = await browser.get("/door")
    assert page.headers["x-door"] == "paired"
    assert "no-store" in page.headers["cache-control"]
    assert "key-" not in page.text
    gone = await send(browser, "/door", "/door/unpair")
    assert "Max-Age=0" in next(each for each in gone.headers.get_list("set-cookie") if each.startswith("door="))
    again = await send(browser, "/door", "/door/pair", code=code)
    assert again.status_code == 403
    assert "This code opens nothing" in again.text
    browser.cookies.set("door", "bm9uc2Vuc2U")
    assert "Pair this phone" in (await browser.get("/door")).text


async def test_over_plain_http_from_elsewhere_nothing_is_paired(browser: httpx.AsyncClient) -> None:
    code, form = await code_for(browser, "x"), csrf(await browser.get("/door"))
    browser.headers["host"] = "tickets.example"
    refused = await browser.post("/door/pair", data={"csrf": form, "code": code})
    assert refused.status_code == 403
    assert "https" in refused.text


async def test_a_scan_is_answered_and_told_again_the_same(browser: httpx.AsyncClient) -> None:
    await pair(browser)
    code, form = await sold(browser), csrf(await browser.get("/door"))
    first, again, other = [
        await browser.post("/door/scan", data={"csrf": form, "code": code, "scan": scan, "direction": "in"})
        for scan in ("s.1", "s.1", "s.2")
    ]
    assert ['class="says good"' in each.text for each in (first, again, other)] == [True, True, False]
    assert "north-door" in other.text
    assert "x-door" not in first.headers
    counted = await browser.get("/door/counts", headers=ASKING)
    assert counted.json() == {"tickets": 1, "came": 1, "left": 0, "inside": 1}


async def test_what_another_site_sends_is_refused(browser: httpx.AsyncClient) -> None:
    await pair(browser)
    form = csrf(await browser.get("/door"))
    for path in ("scan", "undo", "merge", "unpair"):
        assert (await browser.post(f"/door/{path}", data={"code": "x"})).status_code == 403
        elsewhere = {"sec-fetch-site": "cross-site"}
        assert (await browser.post(f"/door/{path}", data={"csrf": form}, headers=elsewhere)).status_code == 403


async def test_a_batch_told_twice_changes_nothing_and_names_a_double_entry(browser: httpx.AsyncClient) -> None:
    await pair(browser)
    code, form = await sold(browser), csrf(await browser.get("/door"))
    at = datetime.now(UTC).isoformat()
    scan: dict[str, Any] = {"sequence": 1, "code": code, "door": "north-door", "direction": "in", "at": at}

    async def told(device: str, **more: str) -> Any:
        scans = json.dumps([{**scan, **more}])
        data = {"csrf": form, "device": device, "clock": at, "scans": scans}
        return (await browser.post("/door/merge", data=data, headers=ASKING)).json()

    results = [(await told("a"))["scans"][0]["result"] for _ in range(2)]
    assert results == ["recorded", "known"]
    (conflict,) = (await told("b"))["conflicts"]
    assert conflict["kind"] == "double-entry"
    page = await browser.get("/door/conflicts?lang=de")
    assert "Zweimal eingelassen" in page.text
    await told("b", undone="mistake")
    assert "Bisher keine" in (await browser.get("/door/conflicts")).text
    bad = await browser.post("/door/merge", data={"csrf": form, "scans": "{"}, headers=ASKING)
    assert bad.status_code == 422


async def test_what_a_phone_loads_is_sent_once(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/door/snapshot", headers=ASKING)).status_code == 401
    await pair(browser)
    loaded = await browser.get("/door/snapshot", headers=ASKING)
    assert loaded.json()["snapshot"].count(".") == 2
    assert {"kid", "x"} <= loaded.json()["keys"][0].keys()
    again = await browser.get("/door/snapshot", headers={**ASKING, "if-none-match": loaded.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_revoked_key_ends_it_at_once(browser: httpx.AsyncClient) -> None:
    await pair(browser)
    keys = (await browser.get("/concerts/-/keys", headers=bearer(FIRST_KEY))).json()["items"]
    (id,) = (each["id"] for each in keys if each["name"] == "north door")
    await browser.post(f"/concerts/-/keys/{id}/revoke", headers=bearer(FIRST_KEY))
    page = await browser.get("/door")
    assert page.status_code == 401
    assert "was revoked" in page.text
    assert (await browser.get("/door/counts", headers=ASKING)).status_code == 401


async def test_the_page_is_an_app_and_its_scripts_are_small(browser: httpx.AsyncClient) -> None:
    await pair(browser)
    page = await browser.get("/door")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)", page.text)
    worker = await browser.get("/door/worker.js")
    assert worker.headers["service-worker-allowed"] == "/door"
    assert "no-cache" in worker.headers["cache-control"]
    scripts = re.findall(r'<script src="([^"]+)"', page.text)
    assert all(each in worker.text for each in scripts)
    packed = [gzip.compress((await browser.get(each)).content) for each in (*scripts, "/door/worker.js")]
    assert sum(map(len, packed)) < SCRIPT_BYTES
    manifest = (await browser.get("/door/manifest.webmanifest")).json()
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/door", "/door", "standalone")
    for icon in manifest["icons"]:
        answer = await browser.get(icon["src"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, icon["type"])


def test_there_are_words_for_all_that_a_door_says() -> None:
    assert set(RESULTS) == set(Result) | {"moved", "stale", "away"}
    assert set(UNDO_REASONS) == set(UndoReason)


@pytest.mark.parametrize(
    ("name", "door"), [("north door, phone 2", "north-door-phone-2"), ("Tür Süd", "Tur-Sud"), ("北", "door")]
)
def test_a_door_is_called_after_its_device(name: str, door: str) -> None:
    assert door_of(name) == door
