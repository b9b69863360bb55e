"""The options of `python -m benchmarks`, and what is said of wrong ones."""

from pathlib import Path

import pytest
from benchmarks.command import options
from benchmarks.machine import PROJECT


def test_without_options_the_on_sale_is_measured_with_keys() -> None:
    asked = options([])

    assert (asked.runs, asked.orders, asked.connections) == (5, 10_000, [64, 256])
    assert not asked.without_keys
    assert asked.against is None
    assert not asked.peer


def test_another_checkout_is_named_by_its_folder() -> None:
    against = options(["--against", str(PROJECT)]).against

    assert against is not None
    assert against.path == PROJECT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runs", "0"], "argument --runs: '0' is no whole number from 1 on"),
        (["--orders", "many"], "argument --orders: 'many' is no whole number from 1 on"),
        (["--connections", "64", "-1"], "argument --connections: '-1' is no whole number from 1 on"),
        (["--connections", "64", "64"], "argument --connections: each number once"),
        (["--peer", "--without-keys"], "argument --without-keys: not allowed with argument --peer"),
        (["--peer", "--against", str(PROJECT)], "argument --against: not allowed with argument --peer"),
    ],
)
def test_wrong_options_are_refused_with_what_is_wrong(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        options(arguments)

    assert refused.value.code == 2
    assert said in capsys.readouterr().err


def test_a_folder_without_a_server_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(["--against", str(tmp_path)])

    assert "is no checkout of Cludale Tickets" in capsys.readouterr().err
