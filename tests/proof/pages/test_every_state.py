"""What axe says of every page in every state that `make screens` pictures, and of the desk's others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.parts import need
from tests.proof.pages.looking import violations
from tests.served import Served, serve
from tools.screens.__main__ import SETTINGS, every_state
from tools.screens.camera import Camera
from tools.screens.console import Pace
from tools.screens.desk import sign_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BRISK = Pace(before=0, after=1_000, buyers=40, seats=10)
OF_STAFF = ("session", "sessions", "keys", "people", "door", "privacy", "exports")
OF_A_CONCERT = ("seats", "call-off", "postpone", "sales", "waiting", "guests")
OF_AN_ORDER = ("amend", "refund", "resend", "billing")


class Inspector(Camera):
    """Asks axe where a camera takes pictures."""

    def __init__(self, browser: Browser, url: str) -> None:
        super().__init__(browser, url, Path())
        self.wrong: list[str] = []

    def take(self, page: Page, name: str) -> None:
        page.wait_for_load_state("load")
        self.wrong += [f"{name}: {each}" for each in violations(page)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    need("chromium")
    with serve(tmp_path_factory.mktemp("states"), settings=SETTINGS) as served:
        yield served


def test_every_page_in_every_state_that_is_pictured_passes_axe(browser: Browser, served: Served) -> None:
    inspector = Inspector(browser, served.url)
    every_state(inspector, served.http, BRISK)
    assert inspector.wrong == [], "\n".join(inspector.wrong)


def test_the_desks_pages_without_a_picture_pass_axe(browser: Browser, served: Served) -> None:
    served.concert("unpictured")
    wanted = {"concertId": "unpictured", "userId": "ada", "quantity": 2}
    order = served.http.post("/orders", json=wanted).raise_for_status().json()["id"]
    served.http.get(f"/orders/{order}?wait=10", headers=served.organizer)
    inspector = Inspector(browser, served.url)
    page = inspector.visitor().new_page()
    page.goto("/staff/sign-in")
    inspector.take(page, "sign-in")
    sign_in(page)
    for path in (
        *OF_STAFF,
        *(f"concerts/unpictured/{each}" for each in OF_A_CONCERT),
        *(f"orders/{order}/{each}" for each in OF_AN_ORDER),
    ):
        answer = page.goto(f"/staff/{path}")
        assert answer is not None
        assert answer.ok, path
        inspector.take(page, path)
    assert inspector.wrong == [], "\n".join(inspector.wrong)
