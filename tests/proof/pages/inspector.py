"""Asks axe where a camera takes pictures, looks for what is too wide for a phone, and remembers which routes it saw."""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Response
from tests.proof.pages.looking import violations
from tests.proof.pages.routes import PageRoutes
from tools.screens.camera import Camera

STICKS_OUT = """() => {
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    const all = [...document.querySelectorAll("body *")];
    return [all.findLast((each) => each.getBoundingClientRect().right > innerWidth).outerHTML.slice(0, 200)];
}"""


class Inspector(Camera):
    """One that looks at a site's pages."""

    def __init__(self, browser: Browser, url: str) -> None:
        super().__init__(browser, url, Path())
        self.routes = PageRoutes()
        self.wrong: list[str] = []
        self.seen: set[str] = set()
        """The routes whose answers axe looked at, and those that led there."""
        self._led: dict[Page, set[str]] = {}

    def visitor(self, *, phone: bool = False, dark: bool = False, language: str = "en") -> BrowserContext:
        context = super().visitor(phone=phone, dark=dark, language=language)
        context.on("response", self._note)
        return context

    def take(self, page: Page, name: str) -> None:
        page.wait_for_load_state("load")
        self.wrong += [f"{name}: {each}" for each in (*violations(page), *_too_wide(page))]
        self.seen |= self._led.get(page, set())

    def _note(self, response: Response) -> None:
        """Where a page came from; what was asked for on the way before a redirect led on."""
        request = response.request
        if not request.is_navigation_request():
            return
        led = self._led.setdefault(response.frame.page, set())
        if request.redirected_from is None:
            led.clear()
        led.add(self.routes.of(request.method, urlsplit(request.url).path))


def _too_wide(page: Page) -> list[str]:
    """What sticks out of a window of 320 px: who magnifies a page four times has no more."""
    before = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    found: list[str] = page.evaluate(STICKS_OUT)
    if before is not None:
        page.set_viewport_size(before)
    return [f"{page.url} is too wide: {each}" for each in found]
