"""`cludale check`: its exit status, what it prints for people and for programs."""

from pathlib import Path

import msgspec
import pytest
import typer
from tests.proof.checker.worlds import PRICE, World, busy_world
from typer.testing import CliRunner, Result

from cludale_proof.checker import LedgerLine
from cludale_proof.checker.command import check

app = typer.Typer()
app.command()(check)


def run(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["--data-dir", str(folder), *options])


@pytest.fixture
def good(tmp_path: Path) -> Path:
    busy_world().write(tmp_path)
    return tmp_path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    world = busy_world()
    world.doc("concerts/reservation", "reservation-paid")["status"] = "Held"
    world.write(tmp_path)
    return tmp_path


def test_a_good_folder_has_status_0(good: Path) -> None:
    result = run(good, "--quiet")
    assert result.exit_code == 0, result.output
    assert "OK: everything holds, and everything came to its end" in result.output
    assert "8 orders" in result.output


def test_a_broken_folder_has_status_1_and_tells_the_story(broken: Path) -> None:
    result = run(broken)
    assert result.exit_code == 1
    assert "5 paid-without-sold-seats" in result.output
    assert "order order-paid" in result.output
    assert "it is Paid with reservation-paid, and reservation-paid is Held" in result.output
    assert result.output.index("PaymentCompleted") < result.output.index("OrderPaid") < result.output.index("BROKEN")
    assert "No order is Paid without seats sold to it" in result.output


def test_a_folder_that_is_not_there_has_status_2(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "could not be checked" in result.output


def test_programs_get_json(broken: Path) -> None:
    result = run(broken, "--json")
    assert result.exit_code == 1
    report = msgspec.json.decode(result.stdout)
    assert report["ok"] is False
    found = next(each for each in report["violations"] if each["rule"] == "paid-without-sold-seats")
    assert found["invariant"] == 5
    assert found["orderId"] == "order-paid"
    assert [event["type"] for event in found["story"]][-2:] == ["OrderPaid", "NotificationSent"]
    assert found["evidence"] == [event["id"] for event in found["story"] if event["type"] == "OrderPaid"]


def test_programs_get_json_of_a_good_folder_too(good: Path) -> None:
    result = run(good, "--json")
    assert result.exit_code == 0
    report = msgspec.json.decode(result.stdout)
    assert report["ok"] is True
    assert report["violations"] == []
    assert report["counts"]["orders"] == 8


def test_observations_are_held_against_the_folder(good: Path) -> None:
    lines = good / "seen.jsonl"
    lines.write_text(
        '{"method": "POST", "path": "/orders", "status": 201, "body": "{\\"id\\": \\"order-paid\\"}"}\n\n'
        '{"method": "POST", "path": "/orders", "status": 201, "body": "{\\"id\\": \\"order-gone\\"}"}\n'
    )
    result = run(good, "--observations", str(lines))
    assert result.exit_code == 1
    assert "order order-gone" in result.output
    assert "2 observations" in result.output


def test_observations_that_can_t_be_read_are_named_by_line(good: Path) -> None:
    lines = good / "seen.jsonl"
    lines.write_text('{"method": "POST", "path": "/orders", "status": 0}\nnonsense\n')
    result = run(good, "--observations", str(lines))
    assert result.exit_code == 2
    assert "line 2" in result.output


def test_another_ledger_can_be_named(good: Path) -> None:
    world = busy_world()
    world.ledger["payment-paid.1"] = LedgerLine(key="payment-paid.1", captured=2 * PRICE, refunded=0, charges=2)
    world.write(good / "other")
    result = run(good, "--ledger", str(good / "other" / "simulated-provider.db"))
    assert result.exit_code == 1
    assert "charged-twice" in result.output


def test_an_instant_can_be_named(tmp_path: Path) -> None:
    world = World()
    world.hold(None, id="reservation-1", seconds=100)
    world.write(tmp_path)
    assert run(tmp_path, "--quiet", "--at", "2026-11-22T12:01:00Z").exit_code == 0
    assert run(tmp_path, "--quiet", "--at", "2026-11-22T12:02:00").exit_code == 1
    assert run(tmp_path, "--at", "noon").exit_code == 2


def test_more_violations_than_wanted_are_counted(tmp_path: Path) -> None:
    world = busy_world()
    for id in list(world.records["orders/order"]):
        del world.records["orders/order"][id]
    world.write(tmp_path)
    result = run(tmp_path, "--limit", "2")
    assert result.exit_code == 1
    assert "more; --limit shows more" in result.output
