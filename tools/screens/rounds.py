"""A camera that remembers which routes it was led to: so each form is sent once, and it is known what was left out."""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Response
from tests.proof.pages.routes import PageRoutes
from tools.screens.camera import Camera


class Rounds(Camera):
    """One that goes round a whole site."""

    def __init__(self, browser: Browser, url: str, folder: Path) -> None:
        super().__init__(browser, url, folder)
        self.routes = PageRoutes()
        self.seen: set[str] = set()
        """The routes whose answers were taken, and those that led there."""
        self._led: dict[Page, set[str]] = {}

    def visitor(self, *, phone: bool = False, dark: bool = False, language: str = "en") -> BrowserContext:
        """Somebody with a browser of their own, whose way is noted."""
        context = super().visitor(phone=phone, dark=dark, language=language)
        context.on("response", self._note)
        return context

    def take(self, page: Page, name: str) -> None:
        """The whole page."""
        super().take(page, name)
        self.saw(page)

    def saw(self, page: Page) -> None:
        """What led to this page needs no other look."""
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
