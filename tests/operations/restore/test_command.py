"""`cludale restore`, with the double in the place of `az`."""

from functools import partial
from pathlib import Path

import pytest
from tests.operations.release.azure import DOUBLE, NAMES
from tests.operations.restore.world import ENDPOINT, RESTORED, SOURCE, TARGET, World, world
from typer.testing import CliRunner, Result

from cludale_operations.cli import app
from cludale_operations.release.azure import Az

WHERE = ["--resource-group", NAMES.resource_group, "--environment", "cludale-prod", "--az", str(DOUBLE)]


def _said(*words: str) -> Result:
    return CliRunner().invoke(app, ["restore", *words, *WHERE])


def _az_is_here(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The double answers in this process, as it does all the other tests of releases: dozens of lines are sent to it.

    What can't be done, below, and test_azure.py start it as a program.
    """
    monkeypatch.setattr("cludale_operations.release.azure.Az", partial(Az, run=there.cloud.run))


def test_switch_says_what_to_do_from_then_on_also_where_it_is_done_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as there:
        _az_is_here(there, monkeypatch)
        there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=3_600)
        there.switch().run()
        done = _said("switch", "--store", RESTORED)
        assert done.exit_code == 0, done.output
        assert set(there.stores().values()) == {RESTORED}
        assert "existingCosmosName" in done.output


def test_remove_takes_the_prepared_away_and_never_what_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as there:
        _az_is_here(there, monkeypatch)
        there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=3_600)
        refused = _said("remove", "--target", SOURCE)
        assert refused.exit_code == 2
        assert "in use" in refused.output
        assert _said("remove", "--target", TARGET).exit_code == 0
        assert set(there.cloud.state["accounts"]) == {SOURCE}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["drill", "--url", "http://127.0.0.1:1", "--at", "yesterday"], "is no time"),
        (["drill", "--url", "http://127.0.0.1:1", "--template", "none.bicep"], "there is no none.bicep"),
        (["drill", "--url", "http://127.0.0.1:1"], "/audit/verify"),
        (["switch", "--store", RESTORED], "prepare the restored store first"),
    ],
)
def test_what_can_not_be_done_is_said_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    monkeypatch.setenv("CLUDALE_ORGANIZER_KEY", "the-organizers-key")
    with world(tmp_path) as there:
        done = _said(*words)
        assert done.exit_code == 2
        assert why in " ".join(done.output.split())
        assert set(there.cloud.state["accounts"]) == {SOURCE}
