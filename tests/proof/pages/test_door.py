"""The door's page in a real browser: with network and without, two doors that merge, and what axe says of it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.parts import need
from tests.proof.pages.looking import violations
from tests.served import Served, serve

pytestmark = pytest.mark.timeout(120)

CONCERT = "larks"
Phone = Callable[..., Page]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    need("chromium")
    with serve(tmp_path_factory.mktemp("door"), settings={"CLUDALE_DOOR_REENTRY": "1"}) as running:
        for id in (CONCERT, "an-id-that-is-too-long-for-a-code"):
            date = (datetime.now(ZoneInfo("Europe/Vienna")) + timedelta(hours=2)).isoformat(timespec="seconds")
            running.concert(id, artist="The Larks", venue="Kellerbar, Vienna", seats=60, date=date, zone="Europe/Vienna")
        yield running


def sold(served: Served, quantity: int, concert: str = CONCERT) -> list[dict[str, str]]:
    """The tickets of a paid order."""
    wanted = {"concertId": concert, "userId": "u", "quantity": quantity}
    order = served.http.post("/orders", json=wanted).raise_for_status().json()["id"]
    served.http.get(f"/orders/{order}?wait=10", headers=served.organizer)
    for _ in range(200):
        answer = served.http.get("/tickets", params={"order": order}, headers=served.organizer)
        if answer.is_success:
            break
    items: list[dict[str, str]] = answer.raise_for_status().json()["items"]
    return items


@pytest.fixture
def phone(browser: Browser, served: Served) -> Iterator[Phone]:
    """A phone that is paired; a script's error, a forbidden load or one from elsewhere fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(name: str = "north door", *, concert: str = CONCERT, **options: object) -> Page:
        context = browser.new_context(base_url=served.url, reduced_motion="reduce", **options)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: complaints.append(asked.url) if served.url not in asked.url else None)
        body = {"name": name, "concertId": concert}
        code = served.http.post("/concerts/-/door/codes", json=body, headers=served.organizer).json()["code"]
        page.goto("/door")
        page.fill("#code", code)
        page.click("main form button")
        if options.get("java_script_enabled", True):
            ready(page)
        return page

    yield opened
    for each in contexts:
        each.close()
    assert complaints == []


def ready(page: Page) -> None:
    page.wait_for_selector("#door[data-ready]")


def scan(page: Page, code: str, direction: str = "in") -> None:
    page.check(f"input[value={direction}]")
    page.fill("#code", code)
    page.press("#code", "Enter")


def says(page: Page, *words: str, good: bool) -> None:
    panel = page.locator(f"#answer .says.{'good' if good else 'bad'}")
    for each in words:
        expect(panel).to_contain_text(each)


def test_a_scan_a_second_one_out_back_and_undo(served: Served, phone: Phone) -> None:
    page = phone()
    code = sold(served, 1)[0]["code"]
    came = int(page.inner_text("[data-count=came]"))
    scan(page, code)
    says(page, "IN", "Ticket 1 of 1", good=True)
    assert violations(page) == []
    scan(page, code)
    says(page, "STOP", "Somebody was let in with it", "north-door", good=False)
    assert violations(page) == []
    scan(page, code, "out")
    says(page, "OUT", good=True)
    scan(page, code, "out")
    says(page, "Nobody is inside", good=False)
    scan(page, code)
    says(page, "IN", good=True)
    expect(page.locator("[data-count=came]")).to_have_text(str(came + 2))
    page.click("#undo button")
    expect(page.locator("#answer")).to_contain_text("Undone")
    scan(page, code)
    says(page, "IN", good=True)
    scan(page, "R%JUNK")
    says(page, "no ticket of ours", good=False)
    expect(page.locator("#code")).to_have_value("")


def test_a_phone_without_network_goes_on_through_a_reload_and_two_doors_merge(served: Served, phone: Phone) -> None:
    codes = [each["code"] for each in sold(served, 3)]
    north, south = phone("north"), phone("south", color_scheme="dark", viewport={"width": 320, "height": 640})
    for page in (north, south):
        page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
        page.reload()
        ready(page)
        page.context.set_offline(True)
    scan(north, codes[0])
    says(north, "IN", "alone", good=True)
    scan(north, codes[0])
    says(north, "Somebody was let in with it", "north", good=False)
    scan(north, codes[1])
    says(north, "IN", good=True)
    north.click("#undo button")
    expect(north.locator("#answer")).to_contain_text("Undone")
    north.reload()
    ready(north)
    expect(north.locator("#waits")).to_contain_text("Scans that wait to be told: 2")
    expect(north.locator("#net")).to_contain_text("decides by itself until")
    scan(north, codes[0])
    says(north, "Somebody was let in with it", good=False)
    scan(north, codes[1])
    says(north, "IN", good=True)
    scan(south, codes[0])
    says(south, "IN", good=True)
    scan(south, codes[2][:-3] + "000")
    says(south, "no ticket of ours", good=False)
    assert violations(south) == []
    assert south.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for page in (north, south):
        page.context.set_offline(False)
        expect(page.locator("#waits")).to_be_hidden()
        expect(page.locator("#net")).to_contain_text("With network")
    expect(south.locator("#merged")).to_contain_text("Let in twice: ticket 1")
    expect(south.locator("#merged")).to_contain_text("north")
    assert violations(south) == []
    south.click("#merged a")
    expect(south.locator(".story")).to_contain_text("Let in twice")
    assert violations(south) == []
    inside = served.http.get("/tickets/inside", params={"concertId": CONCERT}, headers=served.organizer).json()
    assert {each["door"] for each in inside["items"]} >= {"north", "south"}
