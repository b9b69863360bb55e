"""Staging goes before production, and the compiler of Bicep before both."""

import re
from pathlib import Path
from typing import Any

from tests.operations.infra.templates import INFRA
from tests.operations.release.pipeline import document, scripts


def _stage(name: str) -> dict[str, Any]:
    (found,) = (each for each in document()["stages"] if each["stage"] == name)
    return dict(found)


def _steps(name: str) -> list[dict[str, Any]]:
    (job,) = _stage(name)["jobs"]
    return list(job["strategy"]["runOnce"]["deploy"]["steps"])


def test_nothing_is_changed_in_production_before_staging_has_had_it() -> None:
    assert _stage("what_if")["dependsOn"] == "staging"
    assert _stage("staging")["dependsOn"] == "image"


def test_staging_has_a_group_a_connection_and_a_lock_of_its_own() -> None:
    variables = _stage("staging")["variables"]
    assert {"group": "cludale-staging"} in variables
    assert {"name": "azureConnection", "value": "cludale-staging"} in variables
    (job,) = _stage("staging")["jobs"]
    assert job["environment"] == "cludale-staging"


def test_staging_runs_the_image_that_production_will_have_by_its_digest() -> None:
    values = {each["name"]: each["value"] for each in _stage("staging")["variables"] if "name" in each}
    assert values["image"].endswith("@$(digest)")
    assert "outputs['pushed.digest']" in values["digest"]
    assert any("variable=digest;isOutput=true]$digest" in script for script in scripts())
    said = str(_steps("staging"))
    assert said.index("az acr import") < said.index("$(release) deploy")


def test_staging_takes_the_steps_of_a_release_and_goes_back_where_one_fails() -> None:
    called = re.findall(r"\$\(release\)(?: --\S+(?: \d+)?)* (\w+)", str(_steps("staging")))
    assert called == ["deploy", "try", "promote", "watch", "rollback"]
    (back,) = (step for step in _steps("staging") if "rollback" in str(step))
    assert back["condition"] == "not(succeeded())"


def test_every_template_is_compiled_and_linted_and_every_file_of_parameters_compiled() -> None:
    said = "\n".join(scripts())
    for template in sorted(INFRA.glob("*.bicep")):
        assert f"az bicep build --file {template} " in said
        assert f"az bicep lint --file {template}\n" in said + "\n"
    for parameters in sorted((INFRA / "parameters").glob("*.bicepparam")):
        assert f"az bicep build-params --file {parameters} " in said
    assert re.search(r"az bicep install --version v\d", said), "a version, not what is the newest that day"


def test_what_is_kept_between_runs_is_held_against_what_it_was_made_from() -> None:
    def tasks(node: Any) -> list[Any]:
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        own = [node] if isinstance(node, dict) and node.get("task") == "Cache@2" else []
        return own + [each for value in inner for each in tasks(value)]

    keys = {task["inputs"]["path"]: task["inputs"]["key"] for task in tasks(document())}
    assert set(keys) == {".cache", ".venv"}
    for key in keys.values():
        files = [part.strip() for part in key.split("|") if "." in part and "Agent" not in part]
        assert files
        for pattern in files:
            assert list(Path().glob(pattern)), pattern
