"""`cludale rehearse` on a terminal, against the double in a thread of its own."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import typer
from tests.proof.rehearsal.double import KEY, Double, running
from typer.testing import CliRunner, Result

from cludale_proof.rehearsal.command import rehearse

app = typer.Typer()
app.command()(rehearse)


@contextmanager
def in_a_thread(double: Double) -> Iterator[str]:
    """The double, served while this thread is busy with the command."""
    ready, done = threading.Event(), threading.Event()
    address: list[str] = []

    async def serve() -> None:
        async with running(double) as url:
            address.append(url)
            ready.set()
            await asyncio.to_thread(done.wait, 60)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield address[0]
    finally:
        done.set()
        thread.join()


def command(*arguments: str, key: str | None = KEY) -> Result:
    environment = {"CLUDALE_ORGANIZER_KEY": key, "COLUMNS": "200", "TERM": "dumb"}
    return CliRunner().invoke(app, arguments, env=environment)


def test_a_rehearsal_that_goes_well_ends_with_zero_and_shows_what_was_found() -> None:
    with in_a_thread(Double()) as url:
        result = command("--url", url, "--seats", "20", "--buyers", "60", "--connections", "4")
    assert result.exit_code == 0, result.output
    for line in ("seats sold", "refused, seats-unavailable", "p99", "nothing oversold", "All of it holds."):
        assert line in result.output


def test_it_says_whether_orders_have_a_key() -> None:
    for options, beginning, end in (((), "with", "yes"), (("--without-keys",), "without", "no")):
        with in_a_thread(Double()) as url:
            result = command("--url", url, "--seats", "5", "--buyers", "5", *options)
        assert f"each order {beginning} an Idempotency-Key." in result.output
        (line,) = [line for line in result.output.splitlines() if "with an Idempotency-Key " in line]
        assert end in line.split()


def test_json_is_all_that_json_prints() -> None:
    with in_a_thread(Double()) as url:
        result = command("--url", url, "--seats", "20", "--buyers", "60", "--json", "--payment-method", "card-ok=2")
    outcome = json.loads(result.stdout)
    assert outcome["ok"] is True
    assert outcome["seatsSold"] == 20
    assert outcome["latency"]["p99Ms"] > 0
    assert {check["name"] for check in outcome["checks"]} >= {"nothing oversold", "every event is in the audit"}


def test_a_broken_promise_is_status_one() -> None:
    with in_a_thread(Double("oversells")) as url:
        result = command("--url", url, "--seats", "5", "--buyers", "10", "--settle", "1")
    assert result.exit_code == 1
    assert "Not all of it holds." in result.output


def test_no_server_is_status_two_and_says_what_to_do() -> None:
    result = command("--url", "http://127.0.0.1:9", "--buyers", "1")
    assert result.exit_code == 2
    assert "make run" in result.output


def test_no_key_is_status_two_and_says_where_it_is_looked_for(tmp_path: pytest.TempPathFactory) -> None:
    result = CliRunner().invoke(
        app, ["--buyers", "1"], env={"CLUDALE_ORGANIZER_KEY": None, "CLUDALE_DATA_DIR": str(tmp_path)}
    )
    assert result.exit_code == 2
    assert "organizer.key" in result.output


def test_a_way_to_pay_that_there_is_not_is_refused_before_anything_is_sold() -> None:
    result = command("--payment-method", "card-okay=2")
    assert result.exit_code == 2
    assert "there is no card-okay, there are card-ok, card-declined" in result.output


@pytest.mark.parametrize("method", ["card-ok=0", "card-ok=x", "=3", "card-ok=-1"])
def test_a_mix_of_payments_that_is_none_is_refused(method: str) -> None:
    result = command("--payment-method", method)
    assert result.exit_code == 2
    assert "card-ok=9" in result.output
