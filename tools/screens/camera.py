"""Pictures of pages, as files."""

from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page
from tools.screens.small import shrink

WIDE = {"width": 1200, "height": 800}
PHONE = {"width": 390, "height": 780}
MAX_BYTES = 200_000
PATIENCE_MS = 60_000
"""A machine may be busy."""


class Camera:
    """Takes pictures of one shop."""

    def __init__(self, browser: Browser, url: str, folder: Path) -> None:
        self._browser = browser
        self._url = url
        self._folder = folder

    def visitor(self, *, phone: bool = False, dark: bool = False, language: str = "en") -> BrowserContext:
        """Somebody with a browser of their own."""
        context = self._browser.new_context(
            base_url=self._url,
            viewport=PHONE if phone else WIDE,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light",
            locale=language,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        return context

    def take(self, page: Page, name: str) -> None:
        """The whole page."""
        file = self._folder / f"{name}.png"
        page.wait_for_load_state("load")
        page.evaluate("document.querySelectorAll('img').forEach((each) => each.loading = 'eager')")
        page.wait_for_load_state("networkidle") if "/orders/" not in page.url and "/concerts/" not in page.url else None
        page.screenshot(path=file, full_page=True, animations="disabled")
        size = shrink(file, MAX_BYTES)
        print(f"{file.name}: {size} bytes")
