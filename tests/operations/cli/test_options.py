"""Options of a command as one struct that the command line fills."""

from typing import Annotated

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from cludale_operations.cli.options import filling

app = typer.Typer()
got: list[object] = []


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command is asked for."""

    seats: Annotated[int, typer.Option(min=1, help="How many seats.")]
    row: Annotated[str | None, typer.Option(help="Which row.")] = None
    is_quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing.")] = False


@app.command()
@filling(Wanted)
def order(name: Annotated[str, typer.Argument()], *, options: Wanted, note: str = "") -> None:
    """Order seats."""
    got.append((name, options, note))


def run(*words: str) -> str:
    got.clear()
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    return "" if result.exit_code == 0 else result.output


def test_each_field_is_an_option_with_its_default() -> None:
    assert run("ada", "--seats", "2", "--note", "aisle") == ""
    assert got == [("ada", Wanted(seats=2), "aisle")]
    assert run("ada", "--seats", "2", "--row", "B", "--quiet") == ""
    assert got == [("ada", Wanted(seats=2, row="B", is_quiet=True), "")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ada",), "Missing option '--seats'"),
        (("ada", "--seats", "0"), "0 is not in the range x>=1"),
        (("ada", "--seats", "1", "--options", "2"), "No such option: --options"),
    ],
)
def test_what_an_option_may_be_is_checked_as_ever(words: tuple[str, ...], said: str) -> None:
    assert said in run(*words)


def test_help_shows_them_where_the_struct_stands() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert shown.index("--seats") < shown.index("--row") < shown.index("--quiet") < shown.index("--note")
    assert "Order seats." in shown
    assert "How many seats." in shown
