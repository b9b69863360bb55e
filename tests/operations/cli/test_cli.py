"""The command line: what it prints, and how it exits."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import eventually
from tests.served import KEY, Served, serve
from typer.testing import CliRunner, Result

from cludale import __version__
from cludale_operations.cli import app


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture(autouse=True)
def _settings(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUDALE_DATA_DIR", str(served.folder))
    monkeypatch.setenv("CLUDALE_PORT", str(served.port))
    monkeypatch.setenv("CLUDALE_ORGANIZER_KEY", KEY)


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status, result.output
    return result


def told(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def paid(served: Served) -> dict[str, Any]:
    served.concert("cli-demo", seats=50)
    placed = served.http.post("/orders", json={"concertId": "cli-demo", "userId": "me", "quantity": 2}).json()
    order: dict[str, Any] = served.http.get(f"/orders/{placed['id']}?wait=10", headers=served.organizer).json()
    assert order["status"] == "Paid"
    asked = {"orderId": order["id"], "status": "Logged"}

    def is_told() -> bool:
        listed = served.http.get("/notifications", params=asked, headers=served.organizer)
        return bool(listed.raise_for_status().json()["items"])

    assert eventually(is_told), "the buyer is not told"
    return order


def test_what_buyers_were_told_is_listed_and_only_what_was_given_up_is_sent_again(paid: dict[str, Any]) -> None:
    (note,) = told("notifications", "list", "--order", paid["id"])
    assert (note["kind"], note["channel"], note["status"]) == ("confirmation", "log", "Logged")
    assert note in told("notifications", "list", "--status", "logged")
    assert told("notifications", "list", "--status", "Failed") == []
    assert "0 are sent again" in run("notifications", "retry", "--all").stdout
    assert "already" in run("notifications", "retry", note["id"], status=1).output
    run("notifications", "retry", status=2)


def test_help_lists_the_commands() -> None:
    listed = run("--help").stdout
    assert all(each in listed for each in ("serve", "concerts", "orders", "audit", "rehearse", "settings"))


@pytest.mark.parametrize(
    "command",
    ["serve", "settings", "rehearse", "concerts add", "concerts list", "orders show", "orders list",
     "orders cancel", "notifications list", "notifications retry", "audit events", "audit order", "audit verify",
     "audit export", "audit replay", "audit redeliver"],
)  # fmt: skip
def test_every_command_helps(command: str) -> None:
    assert "Usage" in run(*command.split(), "--help").stdout


def test_the_version_is_told() -> None:
    assert __version__ in run("--version").stdout


def test_settings_are_explained_and_secrets_masked() -> None:
    by_name = {each["variable"]: each for each in told("settings")}
    assert by_name["CLUDALE_ORGANIZER_KEY"]["value"] == "****"
    assert by_name["CLUDALE_HOLD_SECONDS"]["meaning"]
    assert KEY not in run("settings").stdout


def test_a_concert_is_added_and_listed() -> None:
    added = told("concerts", "add", "Ada", "2099-06-05", "--seats", "10", "--price", "45.00EUR", "--id", "cli-ada")
    assert added["totalSeats"] == 10
    assert added["price"] == {"amount": 4500, "currency": "EUR"}
    assert "cli-ada" in [each["id"] for each in told("concerts", "list", "--artist", "ada")]
    assert "cli-ada" in run("concerts", "list").stdout


@pytest.mark.parametrize(
    ("price", "amount", "shown"),
    [("4500JPY", 4500, "4500 JPY"), ("1.250 kwd", 1250, "1.250 KWD"), ("7 EUR", 700, "7.00 EUR")],
)
def test_a_price_has_the_digits_of_its_currency(price: str, amount: int, shown: str) -> None:
    added = told("concerts", "add", "Dora", "2099-06-05", "--seats", "1", "--price", price)
    assert added["price"]["amount"] == amount
    assert shown in run("concerts", "show", added["id"]).stdout


def test_a_concert_that_is_kept_off_the_list_is_on_its_organizers() -> None:
    told("concerts", "add", "Cleo", "2099-06-05", "--seats", "1", "--price", "1EUR", "--id", "cli-cleo", "--unlisted")
    assert [(each["id"], each["listed"]) for each in told("concerts", "list", "--artist", "cleo")] == [
        ("cli-cleo", False)
    ]
    assert told("concerts", "show", "cli-cleo")["artist"] == "Cleo"


def test_a_concert_with_sections_is_added() -> None:
    sections = ("--section", "floor:400:65.00EUR", "--section", "upper:Upper tier:100:30 EUR")
    added = told("concerts", "add", "Bea", "2099-06-05T19:30:00Z", *sections)
    assert [(each["id"], each["name"], each["totalSeats"]) for each in added["sections"]] == [
        ("floor", "floor", 400),
        ("upper", "Upper tier", 100),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("concerts", "add", "Ada", "2099-06-05"),
        ("concerts", "add", "Ada", "2099-06-05", "--seats", "1", "--price", "dear"),
        ("concerts", "add", "Ada", "2099-06-05", "--seats", "1", "--price", "12.345EUR"),
        ("concerts", "add", "Ada", "2099-06-05", "--seats", "1", "--price", "12.50JPY"),
        ("concerts", "add", "Ada", "2099-06-05", "--section", "floor"),
        ("concerts", "list", "--limit", "0"),
        ("nothing",),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...]) -> None:
    run(*arguments, status=2)


def test_a_refusal_of_the_server_is_one_line() -> None:
    result = run("concerts", "add", "Ada", "someday", "--seats", "1", "--price", "1EUR", status=1)
    assert "invalid: date:" in result.stderr


def test_an_order_is_shown_with_its_payment_and_what_was_told(paid: dict[str, Any]) -> None:
    shown = told("orders", "show", paid["id"])
    assert shown["status"] == "Paid"
    assert [each["status"] for each in shown["payments"]] == ["Completed"]
    assert "Paid" in run("orders", "show", paid["id"], "--wait", "1").stdout
    assert paid["id"] in run("orders", "list", "--concert", "cli-demo").stdout


def test_an_unknown_order_is_one_line() -> None:
    assert "There is no order 'none'" in run("orders", "show", "none", status=1).stderr


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_what_is_no_id_is_one_line(id: str) -> None:
    for command in (("orders", "show"), ("audit", "order"), ("deadletters", "show")):
        assert "is no id" in run(*command, id, status=2).stderr


@pytest.mark.parametrize("id", ["#", "?limit=1", "../concerts", "../verify", "a/b", "%2e%2e/concerts", "a b", "ö"])
def test_an_id_leads_nowhere_else(id: str) -> None:
    for command in (("orders", "show"), ("audit", "order"), ("deadletters", "show")):
        assert len(run(*command, id, status=1).stderr.splitlines()) == 1


def test_an_orders_story_is_told_from_its_beginning(paid: dict[str, Any]) -> None:
    story = [each["eventType"] for each in told("audit", "order", paid["id"])]
    assert story[0] == "OrderPlaced"
    assert story.index("PaymentCompleted") < story.index("SeatsSold") < story.index("OrderPaid")
    assert "OrderPlaced" in run("audit", "order", paid["id"]).stdout


def test_events_are_listed(paid: dict[str, Any]) -> None:
    lines = run("audit", "events", "--order", paid["id"], "--limit", "3", "--json").stdout.splitlines()
    assert len([json.loads(line) for line in lines]) == 3
    assert "OrderPaid" in run("audit", "events", "--type", "OrderPaid").stdout


def test_a_users_orders_are_listed_and_cancelled_by_the_organizer(served: Served) -> None:
    served.concert("cli-cancel", seats=50)
    contact = {"email": "ann@example.org", "phone": "+491700000000"}
    for user in ("ann", "bob", "ann"):
        wanted = {"concertId": "cli-cancel", "userId": user, "quantity": 1, **contact}
        placed = served.http.post("/orders", json=wanted).json()
        served.http.get(f"/orders/{placed['id']}?wait=10", headers=served.organizer)
    of_ann = told("orders", "list", "--user", "ann", "--concert", "cli-cancel", "--status", "Paid")
    assert [each["userId"] for each in of_ann] == ["ann", "ann"]
    assert len(told("orders", "list", "--user", "ann", "--limit", "1")) == 1
    assert told("orders", "list", "--user", "nobody") == []
    assert told("orders", "show", of_ann[0]["id"])["email"] == "ann@example.org"
    for _ in range(2):
        cancelled = told("orders", "cancel", of_ann[0]["id"])
        assert (cancelled["status"], cancelled["reason"]) == ("Cancelled", "cancelled-by-organizer")
    assert [each["id"] for each in told("orders", "list", "--user", "ann", "--status", "Cancelled")] == [
        of_ann[0]["id"]
    ]
    run("orders", "cancel", "order-nobody", status=1)


def test_the_chain_is_verified_beside_the_running_server_and_through_it(served: Served, paid: dict[str, Any]) -> None:
    beside = told("audit", "verify")
    through = told("audit", "verify", "--url", served.url)
    assert beside["ok"]
    assert through["ok"]
    assert beside["events"] <= through["events"]
    assert "The chain holds" in run("audit", "verify").stdout


def test_a_head_that_was_noted_is_looked_for(served: Served, paid: dict[str, Any]) -> None:
    noted = told("audit", "verify")["head"]
    served.concert("cli-after")
    for way in ((), ("--url", served.url)):
        assert told("audit", "verify", "--head", noted, *way)["noted"]["head"] == noted
        assert "is in the chain: entry" in run("audit", "verify", "--head", noted, *way).stdout
        assert "NOT IN THE CHAIN" in run("audit", "verify", "--head", "ab" * 32, *way, status=1).stdout
    assert "64 hexadecimal digits" in run("audit", "verify", "--head", "ab", status=2).stderr


def test_the_log_is_exported_on_from_where_the_last_export_ended(
    served: Served, paid: dict[str, Any], tmp_path: Path
) -> None:
    first = told("audit", "export", str(tmp_path))
    served.concert("cli-exported")
    assert eventually(lambda: told("audit", "verify")["events"] > first["events"])
    assert "1 new files" in run("audit", "export", str(tmp_path)).stdout
    assert told("audit", "export", str(tmp_path))["files"] == 0
    verdict = told("audit", "verify", "--exported", str(tmp_path), "--head", first["head"])
    assert (verdict["ok"], verdict["noted"]["sequence"]) == (True, first["events"])
    assert verdict["head"] == told("audit", "verify")["head"]
    assert "no export in" in run("audit", "verify", "--exported", str(tmp_path / "none"), status=2).stderr


def test_replay_gives_the_same_state(paid: dict[str, Any]) -> None:
    outcome = told("audit", "replay")
    assert outcome["differences"] == []
    assert outcome["rebuilt"]["orders/order"] >= 1
    assert "The same as the live store" in run("audit", "replay", "orders").stdout


def test_replay_until_a_time_gives_the_state_of_then(paid: dict[str, Any]) -> None:
    outcome = told("audit", "replay", "orders", "--until", "2000-01-01T00:00:00Z")
    assert outcome["rebuilt"] == {"orders/order": 0, "orders/cart": 0, "orders/invoice": 0, "orders/invoice_series": 0}
    assert not outcome["compared"]
    assert "can't be rebuilt" in run("audit", "replay", "nothing", status=2).stderr
    assert "no time" in run("audit", "replay", "--until", "then", status=2).stderr


def test_replay_shows_how_an_order_and_its_concert_stood(paid: dict[str, Any]) -> None:
    before, after = paid["createdAt"], "2999-01-01T00:00:00Z"
    then = {each["kind"]: each for each in told("audit", "replay", "--until", after, "--show", paid["id"])["shown"]}
    assert then["order"]["fields"]["status"] == "Paid"
    assert set(then) == {"order", "reservation", "payment", "notification", "order_tickets"}
    asked = ("audit", "replay", "--until", after, "--show", paid["id"], "--show", "cli-demo")
    said = run(*asked).stdout
    assert f"orders/order {paid['id']}" in said
    assert "concerts/section cli-demo/general" in said
    assert f"There was no {paid['id']}." in run("audit", "replay", "--until", before, "--show", paid["id"]).stdout


def test_a_rebuilt_store_needs_a_folder_that_is_there(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    said = run("audit", "replay", "--into", str(nowhere / "x.db"), status=2).stderr
    assert str(nowhere) in said
    assert "No such file or directory" in said


def test_an_event_is_delivered_again(paid: dict[str, Any]) -> None:
    story = told("audit", "order", paid["id"])
    sold = next(each["eventId"] for each in story if each["eventType"] == "SeatsSold")
    assert "orders" in [each["service"] for each in told("audit", "redeliver", sold)]


def test_without_a_server_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUDALE_PORT", "9")
    assert "cludale serve" in run("concerts", "list", status=2).stderr


@pytest.mark.parametrize("url", ["http://x:y", "http://[::1", "localhost:8080", "ftp://x"])
def test_what_is_no_url_is_one_line(url: str) -> None:
    for command in (("concerts", "list"), ("rehearse", "--buyers", "1")):
        (line,) = run(*command, "--url", url, status=2).stderr.splitlines()
        assert url in line


def test_a_server_on_an_ipv6_address_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with serve(tmp_path, settings={"CLUDALE_HOST": "::1"}) as there:
        there.concert("six", date="2099-01-01")
        monkeypatch.setenv("CLUDALE_HOST", "::1")
        monkeypatch.setenv("CLUDALE_PORT", str(there.port))
        assert [each["id"] for each in told("concerts", "list")] == ["six"]
        assert told("rehearse", "--seats", "2", "--buyers", "3")["seatsSold"] == 2


def test_a_rehearsal_goes_where_the_other_commands_go(monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    monkeypatch.setenv("CLUDALE_PORT", "9")
    monkeypatch.setenv("CLUDALE_URL", served.url)
    assert told("rehearse", "--seats", "2", "--buyers", "3")["seatsSold"] == 2


def test_a_wrong_key_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUDALE_ORGANIZER_KEY", "guess")
    assert "CLUDALE_ORGANIZER_KEY" in run("orders", "list", status=1).stderr


def test_without_a_store_there_is_one_line(tmp_path: Any) -> None:
    assert "there is no store" in run("audit", "verify", "--data", str(tmp_path), status=2).stderr
