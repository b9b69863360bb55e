"""Every command line of a release, and every one in the pipeline, is parsed by the real azure-cli.

It comes as far as "Please run 'az login'": names, flags and their forms are right. Not known is what Azure would do.
"""

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.operations.release.azure import NAMES, NEW, PATHS, Azure, azure
from tests.operations.release.pipeline import az_lines, scripts
from tests.parts import need

from cludale_operations.release.azure_commands import (
    Commands,
    Replicas,
    dead_letters,
    handler_outcomes,
    route_rules,
    slowest_requests,
)
from cludale_operations.release.azure_rotation import AzureRotation, SecretCommands, VaultNames
from cludale_operations.rotation import Stage

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python that has azure-cli."""
    return need("azure-cli")


def parsed(python: Path, lines: list[list[str]]) -> list[tuple[str, bool, str]]:
    """Each command line, whether az took it, and what it said."""
    done = subprocess.run(
        [python, ROOT / "tools/azure-cli/parse.py"],
        input="".join(json.dumps(words) + "\n" for words in lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(lines)
    return [(" ".join(words), each["ok"], each["said"]) for words, each in zip(lines, found, strict=True)]


def shapes(lines: list[list[str]]) -> list[list[str]]:
    """One of each form: the same words but for what follows the flags."""
    seen: dict[tuple[str, ...], list[str]] = {}
    for words in lines:
        first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
        seen.setdefault((*words[:first], *(word for word in words if word.startswith("--"))), words)
    return list(seen.values())


def test_what_a_whole_release_says_to_az_is_understood(python: Path, tmp_path: Path) -> None:
    with azure(tmp_path) as cloud:
        _release_twice(cloud)
        said = shapes(cloud.said)
    assert len(said) >= 14
    wrong = [(line, why) for line, ok, why in parsed(python, said) if not ok]
    assert wrong == []


def _release_twice(cloud: Azure) -> None:
    """All kinds of command lines: a good release, one taken back after its end, one that fails."""
    cloud.release.deploy(NEW, "c1")
    cloud.driver.try_address("green")
    cloud.driver.try_address("green")
    assert cloud.release.promote().is_good
    assert cloud.release.watch().is_good
    cloud.release.roll_back()


def test_every_command_that_can_be_built_is_understood(python: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_bytes(route_rules(PATHS, "green"))
    commands = Commands(NAMES._replace(subscription="11111111-1111-1111-1111-111111111111"))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    app_id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/orders"
    store = {"CLUDALE_COSMOS_ENDPOINT": "https://s.documents.azure.com:443/"}
    lines = [
        commands.show("orders"),
        commands.revisions("orders"),
        commands.update("orders", NEW, "c1", store),
        commands.update("orders", NEW, "c1", store, Replicas(2, 10)),
        commands.copy("orders", "orders--c1", NEW, "c1-on", store),
        commands.copy("orders", "orders--c1", NEW, "c1-1", store, most=50, replicas=Replicas(1, 1)),
        commands.activate("orders", "orders--c1"),
        commands.deactivate("orders", "orders--c1"),
        commands.label("orders", "green", "orders--c1"),
        commands.swap("orders", "blue", "green"),
        commands.traffic("orders", {"latest": 0, "orders--c0": 95, "orders--c1": 5}),
        commands.routes(),
        commands.set_route("create", "green", str(rules)),
        commands.set_route("update", "green", str(rules)),
        commands.requests(app_id, now, now),
        commands.query(slowest_requests(now)),
        commands.query(dead_letters(now)),
        commands.query(handler_outcomes(now)),
        commands.subscriptions("order-events"),
    ]
    public = [name for name in vars(Commands) if not name.startswith("_")]
    assert len(lines) >= len(public)
    wrong = [(line, why) for line, ok, why in parsed(python, lines) if not ok]
    assert wrong == []


def test_every_command_that_changes_a_secret_is_understood(python: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("new")
    commands = SecretCommands(VaultNames("a-group", "the-vault", "11111111-1111-1111-1111-111111111111"))
    reference = "service-key=keyvaultref:https://the-vault.vault.azure.net/secrets/service-key/1,identityref:/an/id"
    lines = [
        commands.kept("service-key"),
        commands.keep("service-key-too", str(secret), Stage.NEXT),
        commands.show("orders"),
        commands.give("orders", [reference, reference.replace("service-key", "service-key-too")]),
        commands.revisions("orders"),
        commands.replicas("orders", "orders--c1"),
        commands.restart("orders", "orders--c1"),
    ]
    assert len(lines) == len([name for name in vars(SecretCommands) if not name.startswith("_")])
    wrong = [(line, why) for line, ok, why in parsed(python, lines) if not ok]
    assert wrong == []


def test_a_reference_to_a_version_of_a_secret_is_read_as_one(python: Path, tmp_path: Path) -> None:
    """`containerapp secret set` reads them after it has asked for the app, so its own function is asked."""
    with azure(tmp_path) as cloud:
        place = VaultNames(NAMES.resource_group, "the-vault")
        az = AzureRotation(
            cloud.az, place, ["orders"], report=print, sleep=cloud.pass_time, now=lambda: cloud.time,
        )  # fmt: skip
        az.rotate("service-key")
        given = next(words for words in cloud.said if words[:3] == ["containerapp", "secret", "set"])
        references = [word for word in given if word.startswith("service-key")]
    script = (
        "import json, sys\n"
        "from azure.cli.command_modules.containerapp._utils import parse_secret_flags\n"
        "print(json.dumps(parse_secret_flags(sys.argv[1:])))"
    )
    done = subprocess.run([python, "-c", script, *references], capture_output=True, text=True, check=True, timeout=60)
    read = {each["name"]: each for each in json.loads(done.stdout)}
    assert set(read) == {"service-key", "service-key-too"}
    for name, each in read.items():
        assert re.fullmatch(rf"https://the-vault\.vault\.azure\.net/secrets/orders-{name}/\d+", each["keyVaultUrl"])
        assert each["identity"].endswith("orders")
        assert each["value"] == ""


def test_a_command_line_that_is_wrong_is_found_to_be(python: Path) -> None:
    show = Commands(NAMES).show("orders")
    assert not parsed(python, [[*show, "--no-such-flag"]])[0][1]


def test_every_command_line_of_the_pipeline_is_understood(python: Path) -> None:
    lines = [words for script in scripts() for words in az_lines(script)]
    assert len(lines) == 16
    wrong = [(line, why) for line, ok, why in parsed(python, lines) if not ok]
    assert wrong == []


NOT_PARSED = ("login", "bicep", "extension", "devops", "pipelines", "repos")
"""What would sign in or download, and what is of the extension azure-devops, which no package registry has."""


AN_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/orders"


def said_by_the_documentation(folder: Path) -> list[list[str]]:
    """The command lines that a shell makes of what the pages about Azure say, with `az` and others stood in for."""
    for program in ("az", "docker", "git", "openssl", "curl", "pytest", "cludale"):
        stub = folder / program
        stub.write_text(
            "#!/bin/sh\n"
            # one call a line; words are parted by a sign that none of them has
            'said=${0##*/}; for word; do said=$said$(printf "\\037%s" "$word"); done\n'
            'printf "%s\\036" "$said" >> "$SAID"\n'
            f'for word; do case $word in id|"[0].id") echo {AN_ID}; exit;; esac; done\n'
            "echo cludale\n"
        )
        stub.chmod(0o755)
    pages = (
        "run/azure.md", "run/azure-devops.md", "run/people.md", "run/recovery.md", "run/first-day.md", "run/alerts.md",
        "evidence/azure.md",
    )  # fmt: skip
    text = "\n".join((ROOT / "docs" / page).read_text() for page in pages)
    blocks = re.findall(r"^```sh\n(.+?)^```", text, re.DOTALL | re.MULTILINE)
    inline = [line for line in re.findall(r"`((?:\w+=\$\()?az [^`\n]+)`", text) if " --" in line and "…" not in line]
    script = "\n".join([*blocks, *inline])
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "SAID": str(folder / "said")}
    shell = ["bash", "-euo", "pipefail", "-c", script]
    subprocess.run(shell, cwd=folder, env=environment, check=True, timeout=120, stdout=subprocess.DEVNULL)
    lines = [line.split("\x1f") for line in (folder / "said").read_text().split("\x1e")[:-1]]
    return [words[1:] for words in lines if words[0] == "az"]


@pytest.mark.timeout(400)  # among the longest: its file begins early
def test_every_command_line_of_the_documentation_is_understood(python: Path, tmp_path: Path) -> None:
    said = shapes(said_by_the_documentation(tmp_path))
    assert len(said) > 20
    lines = [words for words in said if words[0] not in NOT_PARSED]
    wrong = [(line, why) for line, ok, why in parsed(python, lines) if not ok]
    assert wrong == []
    json.loads((tmp_path / "connection.json").read_text())
    bodies = [words[words.index("--body") + 1] for words in said if "--body" in words]
    assert {json.loads(body).get("name", "an approval") for body in bodies} >= {"cludale-infrastructure", "an approval"}
