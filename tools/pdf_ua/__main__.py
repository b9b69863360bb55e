"""`python -m tools.pdf_ua`: holds pages of tickets against PDF/UA-1 with veraPDF, which shares no code with typst.

Needs Java 17 and Maven, which brings veraPDF. Exit status 1: a page breaks a rule.
"""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from cludale.adapters.ticket_pages.printing import pdf
from cludale.ports.ticket_pages import TicketPage

HERE = Path(__file__).parent
NAMES = (None, "Adébáyọ̀ Olúṣẹ́gun", "محمد علي", "प्रिया शर्मा", "Zoë 😀 Ray")


def main() -> int:
    """Make the pages, and have them looked at."""
    issued = datetime(2027, 1, 9, 10, tzinfo=UTC)
    pages = [
        TicketPage(
            f"ticket-1.{at}",
            "Larks",
            "Live at Home",
            "2027-07-04T19:30:00Z",
            "2027-07-04T18:30:00Z",
            "Olympia",
            "Stalls",
            at,
            5,
            name,
            "6BF" * 60,
            issued,
        )
        for at, name in enumerate(NAMES, 1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "tickets.pdf").write_bytes(pdf(pages))
        wanted = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*wanted, f"-DoutputDirectory={place / 'lib'}"], check=True)
        subprocess.run(["javac", "-cp", f"{place}/lib/*", "-d", folder, str(HERE / "Check.java")], check=True)
        looked = ["java", "-cp", f"{place}:{place}/lib/*", "Check", "tickets.pdf"]
        return subprocess.run(looked, cwd=place, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
