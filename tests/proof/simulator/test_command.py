"""The command line: a failing seed is named, with the command that repeats it."""

import io
import json
import re
import subprocess
from pathlib import Path

import pytest
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from cludale_proof.planted.bugs import BUGS
from cludale_proof.simulator.command import pairs_of, repeat, show, simulate
from cludale_proof.simulator.tally import Tally
from cludale_proof.simulator.themes import THEMES

APP = Typer()
APP.command()(simulate)


def test_runs_are_counted_and_reported(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ran = CliRunner().invoke(APP, ["--seeds", "10", "--workers", "1", "--report", str(report)])
    assert ran.exit_code == 0, ran.output
    figures = json.loads(report.read_text())
    assert figures["seeds"] == 10
    assert figures["failedSeeds"] == []
    assert sum(figures["faults"].values()) > 0


def test_seeds_are_run_with_pairs_of_themes() -> None:
    pairs = pairs_of(1_000)
    assert len(set(pairs)) == len(pairs) == len(THEMES) * (len(THEMES) - 1) // 2
    ran = CliRunner().invoke(APP, ["--pairs", "2", "--seeds", "3", "--workers", "1"])
    assert ran.exit_code == 0, ran.output
    assert "2 pairs of themes, 6 runs, 0 failed" in ran.output
    assert CliRunner().invoke(APP, ["--pairs", "2", "--theme", pairs[0][0]]).exit_code == 2


def test_one_seed_is_told_in_full() -> None:
    ran = CliRunner().invoke(APP, ["--seed", "2", "--trace"])
    assert ran.exit_code == 0
    assert "commits" in ran.output
    assert "nothing broke" in ran.output


def test_a_digest_is_the_same_each_time() -> None:
    first, second = (CliRunner().invoke(APP, ["--seed", "2", "--digest"]).output for _ in range(2))
    assert first == second
    assert first.startswith("2 ")


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name.startswith("seats: what is held counts")])
def test_a_seed_that_breaks_something_is_named_with_the_command_that_repeats_it(bug: object) -> None:
    (planted,) = (each for each in BUGS if each is bug)
    with planted.planted():
        ran = CliRunner().invoke(APP, ["--seeds", "50", "--workers", "1"])
        assert ran.exit_code == 1
        assert "oversold" in ran.output
        named = re.search(r"(\S+) -m cludale_proof.simulator --seed (\d+) --trace", ran.output)
        assert named is not None
        python, seed = named.groups()
        helps = subprocess.run([python, "-m", "cludale_proof.simulator", "--help"], check=False, capture_output=True)
        assert helps.returncode == 0, helps.stderr
        again = CliRunner().invoke(APP, ["--seed", seed])
        assert again.exit_code == 1
        assert "oversold" in again.output


def test_the_command_that_repeats_a_seed_is_one_line_on_a_narrow_screen() -> None:
    screen = io.StringIO()
    themes = ["concerts far away", "changes of mind"]
    show(Tally(seeds=1, failed=[(50_123, ["oversold"])]), themes, Console(file=screen, width=80))
    assert f"again: {repeat(50_123, themes)}" in screen.getvalue().splitlines()
