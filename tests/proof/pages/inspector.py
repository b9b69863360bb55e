"""Asks axe where a camera takes pictures, and looks for what is too wide for a phone."""

from pathlib import Path

from playwright.sync_api import Browser, Page
from tests.proof.pages.looking import violations
from tools.screens.rounds import Rounds

STICKS_OUT = """() => {
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    const all = [...document.querySelectorAll("body *")];
    return [all.findLast((each) => each.getBoundingClientRect().right > innerWidth).outerHTML.slice(0, 200)];
}"""


class Inspector(Rounds):
    """One that looks at a site's pages."""

    def __init__(self, browser: Browser, url: str) -> None:
        super().__init__(browser, url, Path())
        self.wrong: list[str] = []

    def take(self, page: Page, name: str) -> None:
        page.wait_for_load_state("load")
        self.wrong += [f"{name}: {each}" for each in (*violations(page), *_too_wide(page))]
        self.saw(page)


def _too_wide(page: Page) -> list[str]:
    """What sticks out of a window of 320 px: who magnifies a page four times has no more."""
    before = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    found: list[str] = page.evaluate(STICKS_OUT)
    if before is not None:
        page.set_viewport_size(before)
    return [f"{page.url} is too wide: {each}" for each in found]
