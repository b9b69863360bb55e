"""azure-pipelines.yml: valid, in the right order, and it only calls what there is."""

import re
import subprocess
from itertools import pairwise
from typing import Any

import typer.main
from tests.operations.infra.templates import ENVIRONMENTS, deployed, empty
from tests.operations.release.pipeline import FILE, az_lines, document, release_lines, scripts
from tests.parts import need

from cludale_operations.cli import app

ROOT = FILE.parent
SIGNED_IN_SECONDS = 600
"""How long a federated sign-in lasts: after that no token for another resource is had with it."""


def test_the_schema_of_azure_pipelines_holds() -> None:
    program = need("check-jsonschema")
    options = ["--builtin-schema", "vendor.azure-pipelines", "--data-transform", "azure-pipelines"]
    done = subprocess.run(
        [program, *options, "--regex-variant", "nonunicode", FILE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_stage_waits_for_what_it_needs() -> None:
    stages = document()["stages"]
    assert [each["stage"] for each in stages] == [
        "test", "image", "what_if", "infrastructure", "green", "promote", "retire",
    ]  # fmt: skip
    for before, stage in pairwise(stages):
        needs = stage["dependsOn"]
        assert before["stage"] in ([needs] if isinstance(needs, str) else needs)


def test_what_changes_production_asks_for_an_approval() -> None:
    jobs: dict[str, Any] = {each["stage"]: each["jobs"][0] for each in document()["stages"]}
    assert jobs["infrastructure"]["environment"] == "cludale-infrastructure"
    assert jobs["promote"]["environment"] == "cludale-production"


def test_a_release_that_failed_or_was_cancelled_goes_back() -> None:
    (stage,) = (each for each in document()["stages"] if each["stage"] == "promote")
    promote, watch, back = stage["jobs"]
    assert watch["dependsOn"] == "promote"
    assert back["dependsOn"] == ["promote", "watch"]
    assert back["condition"].startswith("and(always(), "), "a job of a run that was cancelled is left out otherwise"
    assert all(f"eq(dependencies.{each}.result, 'Succeeded')" in back["condition"] for each in ("promote", "watch"))
    assert "rollback --unfinished" in str(back["steps"])
    assert "rollback" not in str(promote) + str(watch)


def test_no_two_releases_run_at_once() -> None:
    assert document()["lockBehavior"] == "sequential"


def test_no_task_of_a_release_lasts_longer_than_what_it_signs_in_with_nor_a_job_longer_than_an_hour() -> None:
    found = document()
    defaults = {each["name"]: each["default"] for each in found["parameters"]}
    assert int(defaults["soakSeconds"]) + 180 < SIGNED_IN_SECONDS
    assert int(defaults["canarySeconds"]) + 180 < SIGNED_IN_SECONDS
    assert int(defaults["watchSeconds"]) + 60 < SIGNED_IN_SECONDS
    steps = defaults["steps"].split(",")
    canary = int(defaults["canarySeconds"]) + 180
    assert canary + len(steps) * (int(defaults["soakSeconds"]) + 180) < 3_600
    (stage,) = (each for each in found["stages"] if each["stage"] == "promote")
    assert all(int(job["timeoutInMinutes"]) <= 60 for job in stage["jobs"])
    assert "${{ each step in split(parameters.steps, ',') }}" in str(stage), "a task for each step"


def test_every_job_has_an_end() -> None:
    for stage in document()["stages"]:
        for job in stage["jobs"]:
            assert 0 < int(job["timeoutInMinutes"]) <= 360


def test_every_call_of_cludale_is_one_that_it_understands() -> None:
    command = typer.main.get_command(app)
    called = []
    for words in release_lines():
        group, options = words[0], words[1:]
        assert group == "release"
        release = command.commands["release"]  # type: ignore[attr-defined] # a group of commands
        context = release.make_context("release", options)
        given = [*context._protected_args, *context.args]  # noqa: SLF001 - click's own, which it gives no other way to
        name, subcommand, rest = release.resolve_command(context, given)
        subcommand.make_context(name, rest)
        called.append(name)
    assert called == ["plan", "deploy", "try", "canary", "promote", "watch", "rollback", "retire"]


def test_every_step_of_a_release_is_about_the_commit_and_the_image_of_its_run() -> None:
    said = [
        words
        for words in release_lines()
        if {"plan", "deploy", "try", "canary", "promote", "watch", "rollback"} & set(words)
    ]
    assert len(said) == 7
    assert all({"--image", "--commit"} <= set(words) for words in said)


def test_nothing_is_decided_in_the_shell() -> None:
    for script in scripts():
        for word in (" if ", "then\n", "for ", "while ", "case ", "||", "jq "):
            assert word not in script, script
    assert sum(1 for script in scripts() for _ in az_lines(script)) == 4


def test_every_variable_that_must_be_set_is_set_up_in_the_documentation() -> None:
    found = document()
    own = {each["name"] for each in found["variables"] if "name" in each}
    own |= {name for stage in found["stages"] for name in stage.get("variables", {})}
    used = set(re.findall(r"\$\((\w+)\)", FILE.read_text())) - own
    page = (ROOT / "docs/run/azure-devops.md").read_text()
    assert used == {
        "registryName", "resourceGroup", "environmentName", "serviceBusName", "insightsAppId", "alertEmail",
        "organizerKey", "parametersFile",
    }  # fmt: skip
    assert {name for name in used if not re.search(rf"\b{name}[ =]", page)} == set()
    (group,) = (each["group"] for each in found["variables"] if "group" in each)
    names = {group, *(each["value"] for each in found["variables"] if each.get("name") == "azureConnection")}
    names |= {job["environment"] for stage in found["stages"] for job in stage["jobs"] if "environment" in job}
    assert {name for name in names if name not in page} == set()


def test_what_the_variables_hold_comes_out_of_the_templates() -> None:
    outputs = deployed("prod").outputs
    assert outputs.keys() >= {"registryName", "environmentName", "serviceBusName", "insightsAppId"}


def test_a_deployment_of_the_pipeline_leaves_the_operators_address_alone() -> None:
    lines = [line for script in scripts() for line in script.splitlines() if "az deployment group" in line]
    assert len(lines) == 2
    assert all(line.endswith('alertEmail="$(alertEmail)"') for line in lines)


def test_no_deployment_of_the_pipeline_puts_an_app_or_a_suffix() -> None:
    """Azure refuses a suffix that exists, or passes over it: after a failed release, each that names one."""
    lines = [words for script in scripts() for words in az_lines(script) if words[:2] == ["deployment", "group"]]
    assert len(lines) == 2
    given = {word.partition("=")[0] for words in lines for word in words if "=" in word}
    assert given == {"alertEmail"}
    for environment in ENVIRONMENTS:
        assert empty(environment).of("Microsoft.App/containerApps") == []


def test_the_image_is_built_over_a_base_by_digest_and_says_its_commit() -> None:
    (script,) = (each for each in scripts() if "docker build" in each)
    pull, inspect, build = (script.index(each) for each in ("docker pull", "docker image inspect", "docker build"))
    assert pull < inspect < build
    assert '--build-arg BASE="$(base)@${digest##*@}"' in script
    assert '--build-arg REVISION="$(Build.SourceVersion)"' in script
    (base,) = (each["value"] for each in document()["variables"] if each.get("name") == "base")
    assert f"ARG BASE={base}\n" in (ROOT / "docker/Dockerfile").read_text()


def test_the_image_is_deployed_by_the_digest_that_was_scanned() -> None:
    scans = [script for script in scripts() if "$(trivy) image" in script]
    assert len(scans) == 2
    assert all('"$(pushed.image)"' in script for script in scans)
    text = FILE.read_text()
    assert "stageDependencies.image.image.outputs['pushed.image']" in text
    assert ":latest" not in text
