"""What axe says of every page in every state, as `make screens` pictures them."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.oidc_provider import CLIENT, SECRET, running_provider
from tests.parts import need
from tests.proof.pages.inspector import Inspector
from tests.proof.pages.undelivered import bury
from tests.served import Served, serve
from tools.screens.__main__ import SETTINGS, every_state
from tools.screens.console import Pace

from cludale_operations.local.free_ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BRISK = Pace(before=0, after=1_000, buyers=40, seats=10)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    need("chromium")
    folder = tmp_path_factory.mktemp("states")
    with ThreadPoolExecutor(1) as elsewhere:  # playwright has the loop of this thread
        elsewhere.submit(lambda: asyncio.run(bury(folder))).result()
    with serve(folder, settings=SETTINGS) as served:
        yield served


def test_every_page_in_every_state_passes_axe_and_fits_a_phone(browser: Browser, served: Served) -> None:
    inspector = Inspector(browser, served.url)
    every_state(inspector, served, BRISK)
    assert inspector.wrong == [], "\n".join(inspector.wrong)
    assert inspector.routes.pages - inspector.seen == set(), "axe looked at none of these"


def test_signing_in_and_out_at_an_issuer_passes_axe(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    public = f"http://127.0.0.1:{port}"
    with running_provider(tmp_path, f"{public}/staff/sign-in/back") as provider:
        by_issuer = {
            "CLUDALE_OIDC_ISSUER": provider.issuer,
            "CLUDALE_OIDC_CLIENT_ID": CLIENT,
            "CLUDALE_OIDC_CLIENT_SECRET": SECRET,
            "CLUDALE_OIDC_ROLES": "box-office=sell,read",
            "CLUDALE_PUBLIC_URL": public,
            "CLUDALE_PORT": str(port),
        }
        with serve(tmp_path, settings=by_issuer) as served:
            inspector = Inspector(browser, served.url)
            page = inspector.visitor().new_page()
            page.goto("/staff/sign-in")
            inspector.take(page, "the way to the issuer")
            for person in ("cyd", "ada"):
                page.goto("/staff/sign-in/go")
                page.fill("[name=login]", person)
                page.fill("[name=password]", "x")
                page.click("button")
                page.click("button")
                page.wait_for_url(f"{public}/staff**")
                inspector.take(page, f"{person} comes back")
                page.context.clear_cookies() if person == "cyd" else None
            page.route(f"{provider.issuer}/**", lambda asked: asked.abort("aborted"))
            page.click("form.out button")
            expect(page.locator("h1")).to_have_text("Signed out")
            inspector.take(page, "signed out here")
    assert inspector.wrong == []
