"""The box office, guest lists, tills and invoices on the command line, against a real server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import eventually
from tests.served import KEY, Served, serve
from typer.testing import CliRunner

from cludale_operations.cli import app
from cludale_operations.local.free_ports import free_port


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("selling"), settings={"CLUDALE_SWEEP_SECONDS": "0.1"}) as running:
        running.concert("club", seats=20)
        yield running


def cludale(served: Served, *words: str, ends: int = 0) -> str:
    """What the command says."""
    env = {"CLUDALE_URL": served.url, "CLUDALE_ORGANIZER_KEY": KEY, "COLUMNS": "400"}
    result = CliRunner().invoke(app, list(words), env=env)
    assert result.exit_code == ends, result.output
    return result.output


def told(served: Served, *words: str) -> Any:
    return json.loads(cludale(served, *words, "--json"))


def test_the_box_office_sells_and_the_till_says_what_it_took(served: Served) -> None:
    order = told(served, "boxoffice", "sell", "club", "--quantity", "2", "--method", "terminal", "--receipt", "A-17")
    assert (order["status"], order["total"]["amount"]) == ("Paid", 9000)
    assert "is required" in cludale(served, "boxoffice", "sell", "club", "--method", "complimentary", ends=1)
    (till,) = told(served, "reports", "till", "--concert", "club")
    assert (till["method"], till["net"]["amount"]) == ("terminal", 9000)
    latest = cludale(served, "audit", "events", "--type", "OrderPaid", "--latest", "--json").splitlines()
    assert json.loads(latest[0])["correlationId"] == order["id"]


def test_an_order_is_placed_as_a_buyer_does_and_once_under_one_key(served: Served) -> None:
    served.concert("placed", seats=9)
    words = ("orders", "place", "placed", "--quantity", "2", "--email", "ada@example.com", "--key", "a-key-of-ours")
    order = told(served, *words, "--wait", "10")
    assert (order["status"], order["quantity"], order["total"]["amount"]) == ("Paid", 2, 9000)
    shown = served.http.get(f"/orders/{order['id']}", headers={"authorization": f"Bearer {order['accessToken']}"})
    assert shown.json()["status"] == "Paid"
    again = cludale(served, *words)
    assert (order["id"] in again, order["accessToken"] in again) == (True, True)
    other = told(served, "orders", "place", "placed", "--max-total", "45.00EUR", "--method", "card-declined")
    assert other["id"] != order["id"]
    dear = ("orders", "place", "placed", "--quantity", "2", "--max-total", "45.00EUR")
    assert "total-too-high" in cludale(served, *dear, ends=1)
    assert "not-found" in cludale(served, "orders", "place", "nowhere", ends=1)


def test_an_order_of_which_no_answer_came_is_sent_again_with_the_key_that_is_said(served: Served) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    said = cludale(served, "orders", "place", "club", "--url", away, ends=2)
    key = re.search(r"Sent again with --key ([0-9a-f-]{36}), it is one order", said)
    assert key, said


def test_guests_are_looked_at_put_on_listed_and_taken_off(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "guests.csv"
    file.write_text("name,tickets\nBo Cee,1\nCy Dee,19\n")
    assert "1 added" in cludale(served, "guests", "add", "club", "Ann Bee", "--tickets", "2", "--note", "Press")
    assert "2 added" in cludale(served, "guests", "import", "club", str(file), "--preview")
    said = cludale(served, "guests", "import", "club", str(file), ends=1)
    assert ("guests-refused" in said, "csv line 3" in said, "Cy" in said) == (True, True, False)
    assert [each["name"] for each in told(served, "guests", "list", "club")] == ["Ann Bee"]
    file.write_text("name,tickets\nBo Cee,1\nCy Dee,2\n")
    assert "2 added" in cludale(served, "guests", "import", "club", str(file))
    assert "0 added, 2 were there" in cludale(served, "guests", "import", "club", str(file))
    found = told(served, "guests", "list", "club")
    assert sorted(each["name"] for each in found) == ["Ann Bee", "Bo Cee", "Cy Dee"]
    cludale(served, "guests", "remove", next(each["id"] for each in found if each["name"] == "Bo Cee"))
    assert [each["name"] for each in told(served, "guests", "list", "club", "--search", "press")] == ["Ann Bee"]


def test_seats_are_moved_and_two_orders_swap_once_however_often_it_is_asked(served: Served, tmp_path: Path) -> None:
    plan = tmp_path / "rows.csv"
    lines = [f"Pit,{row},{n},{n * 10},{at},Pit," for at, row in enumerate("AB") for n in range(1, 7)]
    plan.write_text("\n".join(["section,row,seat,x,y,category,flags", *lines]))
    sections = ("--section", "pit:@Pit:45.00EUR")
    cludale(served, "concerts", "add", "Ada", "2099-06-05", "--id", "rows", "--seat-plan", str(plan), *sections)

    def sold(*seats: str) -> str:
        words = [word for seat in seats for word in ("--seat", seat)]
        return str(told(served, "boxoffice", "sell", "rows", *words)["id"])

    def seats_of(order: str) -> list[str]:
        return [each["id"] for each in told(served, "orders", "show", order)["seats"]]

    one, two = sold("Pit-A-1", "Pit-A-2"), sold("Pit-B-5", "Pit-B-6")
    to = ("rows", one, "--seat", "Pit-A-2", "--to", "Pit-B-1", "--reason", "The sound desk", "--key", "move-1")
    for _ in range(2):
        (moved,) = told(served, "concerts", "move", *to)
        assert (moved["orderId"], [each["id"] for each in moved["seats"]]) == (one, ["Pit-A-1", "Pit-B-1"])
    assert "A 1; B 1" in cludale(served, "concerts", "move", *to)
    taken = ("rows", one, "--seat", "Pit-B-1", "--to", "Pit-B-5", "--reason", "x")
    assert "Pit-B-5" in cludale(served, "concerts", "move", *taken, ends=1)
    assert "--reason" in cludale(served, "concerts", "move", "rows", one, ends=2)
    swapped = {one: ["Pit-A-1", "Pit-B-6"], two: ["Pit-B-5", "Pit-B-1"]}  # each ticket has its seat's
    why = ("--reason", "As they asked", "--key", "swap-1")
    seats = ("--seat", "Pit-B-1", "--their-seat", "Pit-B-6")
    for _ in range(2):
        orders = {
            each["orderId"]: [seat["id"] for seat in each["seats"]]
            for each in told(served, "concerts", "swap", "rows", one, two, *seats, *why)
        }
        assert orders == swapped
    assert eventually(lambda: {id: seats_of(id) for id in swapped} == swapped), seats_of(one)
    guests = tmp_path / "guests.csv"
    guests.write_text("name,seats\nAnn Bee,A 3-4\nBo Cee,A 9\n")
    assert "csv line 3: seats: there is no seat A 9" in cludale(served, "guests", "import", "rows", str(guests), ends=2)
    guests.write_text("name,seats\nAnn Bee,A 3-4\nBo Cee,Pit-A-4;Pit-A-5\n")
    said = cludale(served, "guests", "import", "rows", str(guests), ends=1)
    assert "Pit-A-4 is wanted twice in this file: line 2 has it, too" in said
    guests.write_text("name,seats\nAnn Bee,A 3-4\nBo Cee,Pit-A-5;Pit-A-6\n")
    assert "2 added" in cludale(served, "guests", "import", "rows", str(guests))
    ids = [each["id"] for each in told(served, "guests", "list", "rows")]
    assert sorted(seat for id in ids for seat in seats_of(id)) == [f"Pit-A-{n}" for n in range(3, 7)]


def test_a_hall_is_written_to_a_file_changed_there_and_sold_by_its_seats(served: Served, tmp_path: Path) -> None:
    plan = tmp_path / "hall.csv"
    head, *lines = ["section,row,seat,x,y,category,flags", *(f"Pit,A,{n},{n * 10},9,Pit," for n in range(1, 7))]
    plan.write_text("\n".join([head, *lines]))
    sections = ("--section", "pit:@Pit:45.00EUR")
    cludale(served, "concerts", "add", "Ada", "2099-06-05", "--id", "hall", "--seat-plan", str(plan), *sections)
    order = told(served, "boxoffice", "sell", "hall", "--seat", "Pit-A-1", "--seat", "Pit-A-2")
    assert [each["id"] for each in order["seats"]] == ["Pit-A-1", "Pit-A-2"]
    assert "1 added" in cludale(served, "guests", "add", "hall", "Ann Bee", "--seat", "Pit-A-4")
    kept = tmp_path / "kept.csv"
    cludale(served, "concerts", "seat-plan", "hall", str(kept))
    assert len(kept.read_text().splitlines()) == 7
    kept.write_text("\n".join([head, *lines[1:]]))
    assert "Pit-A-1" in cludale(served, "concerts", "change", "hall", "--seat-plan", str(kept), ends=1)
    kept.write_text("\n".join([head, *lines[:5], "Pit,B,1,10,20,Pit,"]))
    assert told(served, "concerts", "change", "hall", "--seat-plan", str(kept))["totalSeats"] == 6
    assert eventually(lambda: "SeatPlanChanged" in cludale(served, "concerts", "history", "hall"))


def test_invoices_are_turned_on_listed_printed_and_exported(served: Served, tmp_path: Path) -> None:
    said = told(served, "invoices", "settings", "--on", "--name", "Acme", "--address", "1 Main Street\\nSpringfield")
    assert (said["on"], said["address"]) == (True, "1 Main Street\nSpringfield")
    order = told(served, "boxoffice", "sell", "club", "--quantity", "1")["id"]
    assert eventually(lambda: told(served, "invoices", "list", "--order", order))
    (invoice,) = told(served, "invoices", "list", "--order", order)
    assert told(served, "invoices", "show", invoice["id"])["number"] == invoice["number"]
    pdf, csv = tmp_path / "invoice.pdf", tmp_path / "invoices.csv"
    cludale(served, "invoices", "pdf", invoice["id"], "--to", str(pdf))
    cludale(served, "invoices", "export", str(csv))
    assert (pdf.read_bytes()[:5], invoice["number"] in csv.read_text()) == (b"%PDF-", True)
    to = ("--name", "Ng GmbH", "--street", "Hauptstr. 1", "--place", "Berlin", "--country", "de", "--vat-id", "DE123")
    assert told(served, "invoices", "address", order, *to)["billingAddress"]["country"] == "DE"
    assert told(served, "invoices", "show", invoice["id"])["buyer"]["address"]["name"] == "Ng GmbH"
    made = told(served, "invoices", "make", "--concert", "club")
    assert (made["asked"], made["had"], made["nothing"] > 0) == (1, 1, True)  # who was sold to before they were on
    assert eventually(lambda: [each["sequence"] for each in told(served, "invoices", "list")] == [1, 2])
    assert "0 are being invoiced, 1 were" in cludale(served, "invoices", "make", order)
    words = ("--name", "Ada", "--invoice-to", "name=Ng & Co = Ltd", "--invoice-to", "street=High St 1")
    sold = told(
        served, "boxoffice", "sell", "club", *words, "--invoice-to", "place=Leeds", "--invoice-to", "country=gb"
    )
    asked = told(served, "orders", "show", sold["id"])
    assert (asked["name"], asked["billingAddress"]["name"]) == ("Ada", "Ng & Co = Ltd")
    assert "billingAddress" in cludale(served, "boxoffice", "sell", "club", "--invoice-to", "name=Ng", ends=1)
    assert "FIELD=TEXT" in cludale(served, "boxoffice", "sell", "club", "--invoice-to", "Ng", ends=2)
