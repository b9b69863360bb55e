"""A concert that was put on before the clocks of its zone got other rules, on the command line."""

import shlex
from pathlib import Path

import pytest
from tests.product.pages.test_clock_rules import before_the_change
from tests.served import KEY, serve
from typer.testing import CliRunner

from cludale_operations.cli import app


def test_an_organizer_is_told_and_the_command_that_is_named_keeps_the_time_on_the_clocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("CLUDALE_ORGANIZER_KEY", KEY)
    with serve(data, settings={"PYTHONTZPATH": before_the_change(tmp_path / "zones")}) as shop:
        shop.concert("coast", date="2027-01-15T19:30", doorsAt="2027-01-15T18:30", zone="America/Vancouver")
    with serve(data) as shop:
        monkeypatch.setenv("CLUDALE_URL", shop.url)
        shown = CliRunner().invoke(app, ["concerts", "show", "coast"])
        assert "2027-01-15T19:30:00-08:00 is 2027-01-15T20:30:00-07:00 there now" in shown.stderr
        command = shlex.split(shown.stderr.partition("meant: cludale ")[2])
        assert CliRunner().invoke(app, command).exit_code == 0
        now = shop.http.get("/concerts/coast").json()
        assert (now["date"], now["doorsAt"]) == ("2027-01-15T19:30:00-07:00", "2027-01-15T18:30:00-07:00")
        assert CliRunner().invoke(app, ["concerts", "show", "coast"]).stderr == ""
