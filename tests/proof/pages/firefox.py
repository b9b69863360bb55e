"""Debian's Firefox under Playwright, which speaks WebDriver BiDi with it. All pages are dark, whatever a test asks."""

import os
import sys
from pathlib import Path

from playwright.sync_api import Browser, BrowserType
from tests.parts import need

RELAY = Path(__file__).with_name("firefox_esr.py")
DARK = {"layout.css.prefers-color-scheme.content-override": 0}


def launch(browsers: BrowserType, *, scripts: bool = True) -> Browser:
    """One without windows.

    Without scripts, Playwright's `click`, `fill` and `expect` wait in vain, as they have scripts of their own in the
    page; `focus`, the keyboard, and what only reads do their work.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return browsers.launch(
        channel="moz-firefox",
        executable_path=RELAY,
        env={**os.environ, "PATH": path, "FIREFOX": str(need("firefox-esr"))},
        firefox_user_prefs={**DARK, "javascript.enabled": scripts},
    )
