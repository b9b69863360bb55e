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
        "test", "image", "staging", "what_if", "infrastructure", "green", "promote", "retire",
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
    command: Any = typer.main.get_command(app)
    called = []
    for words in release_lines():
        group, options = words[0], words[1:]
        assert group == "release"
        release = command.get_command(None, "release")
        context = release.make_context("release", options)
        given = [*context._protected_args, *context.args]  # noqa: SLF001 - click's own, which it gives no other way to
        name, subcommand, rest = release.resolve_command(context, given)
        subcommand.make_context(name, rest)
        called.append(name)
    staging = ["deploy", "try", "promote", "watch", "rollback"]
    assert called == [*staging, "plan", "deploy", "try", "canary", "promote", "watch", "rollback", "retire"]


def test_every_step_of_a_release_is_about_the_commit_and_the_image_of_its_run() -> None:
    said = [
        words
        for words in release_lines()
        if {"plan", "deploy", "try", "canary", "promote", "watch", "rollback"} & set(words)
    ]
    assert len(said) == 5 + 7, "in staging, and in production"
    assert all({"--image", "--commit"} <= set(words) for words in said)


def test_nothing_is_decided_in_the_shell() -> None:
    for script in scripts():
        for word in (" if ", "then\n", "for ", "while ", "case ", "||", "jq "):
            assert word not in script, script
    assert sum(1 for script in scripts() for _ in az_lines(script)) == 16


def test_every_variable_that_must_be_set_is_set_up_in_the_documentation() -> None:
    found = document()
    own = {each["name"] for each in found["variables"] if "name" in each}
    own |= {name for stage in found["stages"] for name in _names(stage.get("variables", {}))}
    used = set(re.findall(r"\$\((\w+)\)", FILE.read_text())) - own
    page = (ROOT / "docs/run/azure-devops.md").read_text()
    assert used == {
        "registryName", "resourceGroup", "environmentName", "serviceBusName", "insightsAppId", "alertEmail",
        "parametersFile", "releaseKey",
    }  # fmt: skip
    assert {name for name in used if not re.search(rf"\b{name}[ =]", page)} == set()
    (group,) = (each["group"] for each in found["variables"] if "group" in each)
    names = {group, *(each["value"] for each in found["variables"] if each.get("name") == "azureConnection")}
    names |= {job["environment"] for stage in found["stages"] for job in stage["jobs"] if "environment" in job}
    assert {name for name in names if name not in page} == set()


def _names(variables: Any) -> set[str]:
    """Of a mapping, or of a list with groups in it."""
    return {each["name"] for each in variables if "name" in each} if isinstance(variables, list) else set(variables)


def test_what_the_variables_hold_comes_out_of_the_templates() -> None:
    outputs = deployed("prod").outputs
    assert outputs.keys() >= {"registryName", "environmentName", "serviceBusName", "insightsAppId"}


def test_a_deployment_of_the_pipeline_leaves_the_operators_address_alone() -> None:
    lines = [line for script in scripts() for line in script.splitlines() if "az deployment group" in line]
    assert len(lines) == 3
    assert all(line.endswith('alertEmail="$(alertEmail)"') for line in lines)


def test_no_deployment_of_the_pipeline_puts_an_app_or_a_suffix() -> None:
    """Azure refuses a suffix that exists, or passes over it: after a failed release, each that names one."""
    lines = [words for script in scripts() for words in az_lines(script) if words[:2] == ["deployment", "group"]]
    assert len(lines) == 3
    given = {word.partition("=")[0] for words in lines for word in words if "=" in word}
    assert given == {"alertEmail"}
    for environment in ENVIRONMENTS:
        assert empty(environment).of("Microsoft.App/containerApps") == []


def _image_jobs() -> dict[str, Any]:
    (stage,) = (each for each in document()["stages"] if each["stage"] == "image")
    return {each["job"]: each for each in stage["jobs"]}


def test_the_image_is_built_over_the_base_that_the_dockerfile_pins_and_says_its_commit() -> None:
    (script,) = (each for each in scripts() if "docker build" in each)
    assert '--build-arg REVISION="$(Build.SourceVersion)"' in script
    assert "BASE" not in script
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE)


def test_what_others_wrote_runs_on_no_agent_that_has_credentials() -> None:
    jobs = _image_jobs()
    signed_in = {name for name, job in jobs.items() if "azureSubscription" in str(job)}
    assert signed_in == {"image"}
    assert "trivy" not in str(jobs["image"])
    assert "docker run" not in FILE.read_text(), "nor with the socket of an engine"
    assert all("docker build" not in str(jobs[name]) for name in signed_in)


def test_the_scanner_is_held_against_its_checksum_before_it_runs() -> None:
    variables = {each["name"]: each["value"] for each in document()["variables"] if "name" in each}
    assert re.fullmatch(r"[0-9a-f]{64}", variables["trivySha256"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", variables["trivyVersion"])
    said = [each["script"] for each in _image_jobs()["scan"]["steps"] if "script" in each]
    got, *ran = said
    assert got.index("curl") < got.index("sha256sum --check") < got.index("tar ")
    assert got.startswith("set -euo pipefail")
    assert ran
    assert all(each.startswith("./trivy image ") for each in ran)


def test_nothing_is_fetched_by_a_name_that_may_mean_something_else_tomorrow() -> None:
    fetched = [
        line for script in scripts() for line in script.splitlines() if re.search(r"\b(curl|wget)\b|docker pull", line)
    ]
    assert len(fetched) == 1
    assert "$(trivyVersion)" in fetched[0]
    tasks = {
        step["task"]
        for stage in document()["stages"]
        for job in stage["jobs"]
        for step in _steps(job)
        if "task" in step
    }
    assert tasks == {"AzureCLI@2", "Cache@2"}, (
        "Microsoft's own, which also make the agents; of others the whole version is said"
    )
    assert "container" not in {key for stage in document()["stages"] for job in stage["jobs"] for key in job}


def _steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = job.get("steps") or job["strategy"]["runOnce"]["deploy"]["steps"]
    return [inner for step in steps for inner in next((v for k, v in step.items() if k.startswith("${{ each")), [step])]


def test_the_image_is_deployed_by_the_digest_of_what_was_scanned() -> None:
    jobs = _image_jobs()
    assert (jobs["scan"]["dependsOn"], jobs["image"]["dependsOn"]) == ("build", "scan")
    scans = [script for script in scripts() if "trivy image" in script]
    assert len(scans) == 2
    assert all('--input "$(Pipeline.Workspace)/image/image.tar"' in script for script in scans)
    assert 'docker load --input "$(Pipeline.Workspace)/image/image.tar"' in str(jobs["image"])
    text = FILE.read_text()
    assert "stageDependencies.image.image.outputs['pushed.image']" in text
    assert ":latest" not in text
