"""What axe says of a page, and whether it is too wide."""

from pathlib import Path

from playwright.sync_api import Error, Page

AXE = (Path(__file__).parent / "axe/axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (tags) => {
    const found = await axe.run({ runOnly: tags, resultTypes: ["violations"] });
    return found.violations.map((each) => [each.id, each.nodes[0].html.slice(0, 200)]);
}"""
"""What holds is not looked into, nor sent here: that took longer than the rules."""


LOADS = 3
"""How often a page may go on to its next state while it is looked at: it is looked at there, then."""


def faults(page: Page, *, axe: bool = True) -> list[str]:
    """What axe finds, and whether the page is wider than the window."""
    is_wide = not page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return [*(violations(page) if axe else []), *([f"{page.url} is too wide"] if is_wide else [])]


def violations(page: Page) -> list[str]:
    """What axe finds, each with where."""
    left = LOADS
    while True:
        try:
            if not page.evaluate("'axe' in window"):
                page.evaluate(AXE)
            return [f"{page.url} {rule}: {html}" for rule, html in page.evaluate(RUN, RULES)]
        except Error as gone:
            left -= 1
            if not left or "Execution context was destroyed" not in gone.message:
                raise
            page.wait_for_load_state("load")
