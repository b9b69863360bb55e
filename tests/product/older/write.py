"""Writes a data folder and its log as the version in PYTHONPATH does, with orders of every fate, for later versions.

`python -m tests.product.older.write FOLDER`, at the commit of a release. What is in `written/` was written so.
"""

import json
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.proof.journeys.box_office import BoxOffice
from tests.proof.journeys.conftest import running
from tests.stored_log import BODY, entries_in

LEDGER = "simulated-provider.db"
STORE = "cludale.db"


def live(office: BoxOffice) -> None:
    """Orders that come to their ends, where a hold lasts a second and `card-slow` takes longer than that."""
    hall = office.put_on(id="concert-hall", seats=40)["id"]
    office.put_on(
        id="concert-small", sections=[{"id": "box", "totalSeats": 2, "price": {"amount": 900, "currency": "EUR"}}]
    )
    office.put_on(id="concert-free", seats=5, price={"amount": 0, "currency": "EUR"})

    paid = office.buy(hall, email="buyer@example.org")
    office.end(paid, "Paid")
    office.end(office.buy("concert-free", quantity=1), "Paid")

    given_back = office.buy(hall, quantity=3)
    office.end(given_back, "Paid")
    office.cancel(given_back)

    cancelled = office.buy(hall, paymentMethod="card-slow")
    office.cancel(cancelled)

    declined = office.buy(hall, paymentMethod="card-declined")
    office.shows(declined, "Declined")
    assert office.pay_again(declined, "card-ok").status_code == 202
    office.end(declined, "Paid")

    expired = office.buy(hall, quantity=1, paymentMethod="card-declined")
    office.end(expired, "Cancelled")

    late = office.buy(hall, quantity=4, paymentMethod="card-slow")
    too_late = office.buy("concert-small", paymentMethod="card-slow")
    office.until(lambda: office.counts("concert-small"), lambda counted: counted[0] == 2)
    faster = office.buy("concert-small")
    office.end(faster, "Paid")
    office.end(late, "Paid")
    office.until(lambda: office.payment(too_late)["status"], lambda status: status == "Refunded")
    office.until(lambda: office.payment(given_back)["status"], lambda status: status == "Refunded")
    office.end(too_late, "Cancelled")

    answer = office.http.post(f"/concerts/{hall}/reserve", json={"quantity": 5}, headers=office.organizer)
    assert answer.status_code == 201
    office.until(lambda: office.counts(hall), lambda counted: counted[1] == 0)


def leave_open(office: BoxOffice) -> None:
    """Orders that are Reserved when the server stops: one is being charged, one waits for its buyer."""
    charged = office.buy("concert-hall", paymentMethod="card-flaky")
    office.until(
        lambda: office.listed("/payments", orderId=charged["id"]), lambda found: bool(found and found[0]["attempts"])
    )
    office.shows(office.buy("concert-hall", quantity=1, paymentMethod="card-declined"), "Declined")


def main(to: Path) -> None:
    """Into `to`: the store, the provider's ledger, and the log, an event a line."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        slow = {"payment_slow_seconds": "2.5", "payment_attempt_seconds": "10"}
        with running(folder, hold_seconds="1", **slow) as ours:
            live(ours.office)
        waits = {"payment_backoff_seconds": "600", "payment_backoff_max_seconds": "600"}
        with running(folder, hold_seconds="10", **waits) as ours:
            leave_open(ours.office)
            ours.office.until(lambda: ours.office.listed("/audit/events", type="PaymentFailed"), bool)
        to.mkdir(parents=True, exist_ok=True)
        for name in (STORE, LEDGER):
            with closing(sqlite3.connect(folder / name)) as store:
                store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                store.execute("PRAGMA journal_mode = DELETE")
                store.execute("PRAGMA page_size = 1024")  # for the repository's sake: most tables have a few rows
                store.execute("VACUUM")
            shutil.copy(folder / name, to / name)
        bodies = [json.loads(entry[BODY]) for entry in entries_in(to / STORE)]
        lines = [json.dumps(entry["event"], ensure_ascii=False, separators=(",", ":")) for entry in bodies]
        (to / "log.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
