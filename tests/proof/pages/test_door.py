"""The door's page in a real browser: with network and without, two doors that merge, and what axe says of it."""

from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.parts import need
from tests.proof.pages.hall import KEY, hall
from tests.proof.pages.looking import violations
from tests.served import Served, serve

from cludale.services.tickets import codes, offline
from cludale.services.tickets.door import Result

pytestmark = pytest.mark.timeout(120)

CONCERT = "larks"
Phone = Callable[..., Page]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    need("chromium")
    with serve(tmp_path_factory.mktemp("door"), settings={"CLUDALE_DOOR_REENTRY": "1"}) as running:
        for id in (CONCERT, "an-id-that-is-too-long-for-a-code"):
            date = (datetime.now(ZoneInfo("Europe/Vienna")) + timedelta(hours=2)).isoformat(timespec="seconds")
            running.concert(
                id, artist="The Larks", venue="Kellerbar, Vienna", seats=60, date=date, zone="Europe/Vienna"
            )
        yield running


@pytest.fixture
def phone(browser: Browser, served: Served) -> Iterator[Phone]:
    """A phone that is paired; a script's error, a forbidden load or one from elsewhere fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(name: str = "north door", *, concert: str = CONCERT, **options: object) -> Page:
        context = browser.new_context(base_url=served.url, reduced_motion="reduce", **options)  # type: ignore[arg-type]
        context.set_default_timeout(30_000)
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


def decides_as_the_service_does(page: Page) -> None:
    """The page's script and `offline.decide` say the same to scans by chance."""
    chance, counted = Random(69), Counter[str]()
    for concert in ("larks", "an-id-that-is-too-long-for-a-code"):
        shot, cases = hall(chance, concert)
        kid, public = KEY.id, urlsafe_b64encode(codes.public_bytes(KEY.seed)).rstrip(b"=").decode()
        asked = [(code, way, at.timestamp() * 1000, own) for code, way, at, own, _ in cases]
        found = page.evaluate(
            """async ([jws, keys, concert, asked]) => {
                const shot = await Ticket.snapshot(jws, keys, concert), said = [];
                for (const [code, way, at, own] of asked) {
                    const claims = await Ticket.read(shot, code, at);
                    said.push(claims ? Ticket.judge(shot, claims, own[claims.ticket] || [], way, at).result : "forged");
                }
                return said;
            }""",
            [offline.signed(shot, KEY).body.decode(), [{"kid": kid, "x": public}], concert, asked],
        )
        assert found == [expected.value for *_, expected in cases]
        counted.update(found)
    assert {each for each, n in counted.items() if n >= 3} == set(Result) - {Result.UNKNOWN}
    changed = offline.signed(shot, KEY).body.decode()[:-8] + "AAAAAAAA"
    refused = "([jws, keys, id]) => Ticket.snapshot(jws, keys, id).then(() => 'taken', () => 'refused')"
    assert page.evaluate(refused, [changed, [{"kid": kid, "x": public}], concert]) == "refused"


def test_a_scan_a_second_one_out_back_undo_and_what_the_browser_would_decide_alone(
    served: Served, phone: Phone
) -> None:
    page = phone()
    code = served.tickets(CONCERT, 1)[0]["code"]
    came = int(page.inner_text("[data-count=came]"))
    scan(page, code)
    says(page, "IN", "Ticket 1 of 1", good=True)
    assert violations(page) == []
    scan(page, code)
    says(page, "STOP", "Somebody was let in with it", "north-door", good=False)
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
    decides_as_the_service_does(page)


def test_a_phone_without_network_goes_on_through_a_reload_and_two_doors_merge(served: Served, phone: Phone) -> None:
    codes = [each["code"] for each in served.tickets(CONCERT, 3)]
    north, south = phone("north"), phone("south", color_scheme="dark", viewport={"width": 320, "height": 640})
    for page in (north, south):
        page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
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


def test_without_scripts_the_form_posts_and_the_answer_says_the_same(served: Served, phone: Phone) -> None:
    page = phone("stage", java_script_enabled=False)
    code = served.tickets(CONCERT, 1)[0]["code"]
    scan(page, code)
    says(page, "IN", "Ticket 1 of 1", good=True)
    page.reload()  # the same scan, told again
    says(page, "IN", good=True)
    scan(page, code)
    says(page, "STOP", "Somebody was let in with it", "stage", good=False)
    scan(page, code, "out")
    says(page, "OUT", good=True)
    scan(page, code)
    says(page, "IN", good=True)
    page.click("#undo button")
    expect(page.locator(".note.good")).to_contain_text("Undone")
    expect(page.locator("#scripted")).to_be_hidden()


LENS = """
    navigator.mediaDevices.getUserMedia = async () => {
        const canvas = document.createElement("canvas"), ink = canvas.getContext("2d");
        canvas.width = 640;
        canvas.height = 480;
        setInterval(() => {
            ink.fillStyle = "#8a7f70";
            ink.fillRect(0, 0, 640, 480);
            if (!window.seen) return;
            ink.save();
            ink.translate(330, 235);
            ink.rotate(0.2);
            ink.drawImage(window.seen, -170, -170, 340, 340);
            ink.restore();
        }, 50);
        return canvas.captureStream();
    };
"""
SHOW = """async (bytes) => {
    const read = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    window.seen = bytes && await createImageBitmap(new Blob([read(bytes)]));
}"""
KEPT = "caches.match(document.querySelector('#door').dataset.decoder).then((found) => !!found)"


def picture(served: Served, ticket: dict[str, str]) -> str:
    """A ticket's QR code as a PNG, in base64."""
    answer = served.http.get(f"/tickets/{ticket['id']}.png", headers=served.organizer).raise_for_status()
    return b64encode(answer.content).decode()


def test_a_browser_without_a_detector_loads_one_that_reads_tickets_with_and_without_network(
    served: Served, phone: Phone
) -> None:
    """Chromium has no `BarcodeDetector` on Linux, and this machine no camera: it looks at a canvas."""
    page = phone("gate")
    page.add_init_script(LENS)
    page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    with page.expect_response("**/qr-decoder.*"):
        page.reload()
    ready(page)
    first, second = served.tickets(CONCERT, 2)
    page.click("#camera")
    expect(page.locator("#camera")).to_have_attribute("aria-pressed", "true")
    assert violations(page) == []
    page.evaluate(SHOW, picture(served, first))
    says(page, "IN", "Ticket 1 of 2", good=True)
    page.evaluate(SHOW, None)
    page.wait_for_function(KEPT)
    page.context.set_offline(True)
    page.reload()
    ready(page)
    page.click("#camera")
    page.evaluate(SHOW, picture(served, second))
    says(page, "IN", "alone", good=True)
    assert violations(page) == []


def test_the_camera_scans_once_and_a_hand_scanner_needs_no_focus(served: Served, phone: Phone) -> None:
    page = phone("side gate")
    page.add_init_script(LENS)
    page.add_init_script("""
        window.BarcodeDetector = class {
            static async getSupportedFormats() { return ["qr_code"]; }
            async detect() { return window.shown ? [{ rawValue: window.shown }] : []; }
        };
    """)
    page.reload()
    ready(page)
    first, second = (each["code"] for each in served.tickets(CONCERT, 2))
    page.click("#camera")
    expect(page.locator("#camera")).to_have_attribute("aria-pressed", "true")
    page.evaluate("(code) => { window.shown = code; }", first)
    says(page, "IN", "Ticket 1 of 2", good=True)
    page.wait_for_timeout(400)
    says(page, "IN", good=True)  # not "used": it is the same look
    page.evaluate("window.shown = null")
    page.click("#camera")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.type(second)
    page.keyboard.press("Enter")
    says(page, "Ticket 2 of 2", good=True)
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = async () => { throw new Error('no'); }; }")
    page.click("#camera")
    expect(page.locator("#dark")).to_contain_text("allow it")
    assert violations(page) == []


def test_errors_at_the_door_speak_of_scanning_and_lead_back_to_it(served: Served, phone: Phone) -> None:
    page = phone("back door", java_script_enabled=False)
    expect(page.locator("header .brand")).to_have_attribute("href", "/door")
    page.context.clear_cookies(name="form")
    scan(page, "R%JUNK")
    expect(page.locator("main")).to_contain_text("Nobody was let in or out")
    assert "order" not in page.inner_text("main").lower()
    with_scripts = phone("office")  # axe needs them
    with_scripts.set_content(page.content())
    assert "Nobody was let in or out" in with_scripts.inner_text("main")
    assert violations(with_scripts) == []
    page.click("main a.button")
    expect(page.locator("#code")).to_be_visible()


def test_a_phone_whose_key_is_revoked_says_so_and_keeps_what_waits(served: Served, phone: Phone) -> None:
    page = phone("lost phone")
    page.context.set_offline(True)
    scan(page, served.tickets(CONCERT, 1)[0]["code"])
    says(page, "IN", good=True)
    keys = served.http.get("/concerts/-/keys", headers=served.organizer).json()["items"]
    (id,) = (each["id"] for each in keys if each["name"] == "lost phone")
    served.http.post(f"/concerts/-/keys/{id}/revoke", headers=served.organizer).raise_for_status()
    page.context.set_offline(False)
    expect(page.locator("#net")).to_contain_text("not paired any more")
    scan(page, served.tickets(CONCERT, 1)[0]["code"])
    says(page, "not paired any more", good=False)
    page.click("details summary")
    page.click("#unpair button")
    expect(page.locator("#unpair .wrong")).to_contain_text("Press again")
    assert violations(page) == []
    page.click("#unpair button")
    expect(page.locator("h1")).to_have_text("Pair this phone")
    assert violations(page) == []
    body = {"name": "lost phone", "concertId": CONCERT}
    code = served.http.post("/concerts/-/door/codes", json=body, headers=served.organizer).json()["code"]
    page.fill("#code", code)
    page.click("main form button")
    ready(page)
    expect(page.locator("#net")).to_contain_text("Scans that were told: 1.")
