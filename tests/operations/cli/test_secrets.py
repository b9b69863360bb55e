"""`cludale secrets`, over the double of `az`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.operations.release.azure import NAMES as GROUP
from tests.operations.release.azure import VAULT, Azure, azure, old_secret
from typer.testing import CliRunner

from cludale.services import NAMES
from cludale.web.service_keys import ServiceKeys
from cludale.wiring.keys import ticket_keys
from cludale.wiring.settings import Settings
from cludale_operations.cli import app, secrets, secrets_here
from cludale_operations.release.azure_rotation import AzureRotation, VaultNames
from cludale_operations.rotation import NotRotated

PLACE = ["--resource-group", GROUP.resource_group, "--vault", "the-vault"]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    with azure(tmp_path) as made:

        def in_this_process(_: str, names: VaultNames) -> AzureRotation:
            return AzureRotation(
                made.az, names, NAMES, report=made.told.append, sleep=made.pass_time, now=lambda: made.time,
            )  # fmt: skip

        monkeypatch.setattr(secrets, "rotation_of", in_this_process)
        yield made


def said(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["secrets", *words, *PLACE])
    assert done.exit_code == status, done.output
    return done.output


def stands() -> dict[str, str]:
    return {each["secret"]: each["stands"] for each in json.loads(said("show", "--json"))}


@pytest.mark.usefixtures("cloud")
def test_it_is_shown_how_each_stands_and_no_secret() -> None:
    assert set(stands()) == {"service-key", "token-key", "privacy-key", "key-hash", "organizer-key"}
    assert set(stands().values()) == {"one is good"}
    shown = said("show")
    assert not any(old_secret(name) in shown for name in VAULT)


def test_a_new_one_comes_and_the_former_one_of_the_buyers_stays_until_it_is_ended(cloud: Azure) -> None:
    assert "the former one is good, too" in said("rotate", "token-key")
    assert stands()["token-key"] == "a new one is used, the former one is good, too"
    assert cloud.told, "each step is said"
    assert "one is good" in said("rotate", "token-key", "--finish")
    assert stands()["token-key"] == "one is good"


@pytest.mark.usefixtures("cloud")
def test_of_the_first_key_it_is_said_that_nothing_else_changed_with_it() -> None:
    assert "CLUDALE" not in said("rotate", "organizer-key")
    assert "service-key, key-hash, privacy-key are as they were" in said("rotate", "organizer-key")


@pytest.mark.usefixtures("cloud")
def test_a_secret_that_can_not_be_changed_so_is_said() -> None:
    assert "smtp-password" in said("rotate", "smtp-password", status=2)


def test_the_keys_of_tickets_are_shown_and_changed_in_a_data_folder(tmp_path: Path) -> None:
    folder = {"CLUDALE_DATA_DIR": str(tmp_path)}
    assert secrets_here.ticket_keys_stand(Settings.from_env(folder)) == "made at the first start"
    with pytest.raises(NotRotated, match="tickets keys rotate"):
        secrets_here.rotate_ticket_keys(Settings.from_env(folder))
    first = ticket_keys(Settings.from_env(folder)).all()[0]
    said_of_it = secrets_here.rotate_ticket_keys(Settings.from_env(folder))
    now, before = ticket_keys(Settings.from_env(folder)).all()
    assert (before.id, before.ends_at is None, now.ends_at) == (first.id, False, None)
    assert now.id in said_of_it
    assert secrets_here.ticket_keys_stand(Settings.from_env(folder)) == f"{now.id} signs, {first.id} good until its end"


def kept(cloud: Azure) -> str:
    """The privacy key that is used."""
    value: str = cloud.state["vault"]["privacy-key"][-1]["value"]
    return value


def test_another_algorithm_comes_with_another_secret_and_stays(cloud: Azure) -> None:
    usual = kept(cloud)
    assert ":" not in usual
    said("rotate", "privacy-key", "--algorithm", "chacha20-poly1305")
    named = kept(cloud)
    assert named.startswith("chacha20-poly1305:")
    said("rotate", "privacy-key", "--finish")
    said("rotate", "privacy-key")
    assert kept(cloud).startswith("chacha20-poly1305:")
    assert kept(cloud) != named
    said("rotate", "privacy-key", "--finish")
    said("rotate", "privacy-key", "--algorithm", "aes-256-gcm")
    assert ":" not in kept(cloud)


@pytest.mark.usefixtures("cloud")
def test_an_algorithm_that_a_secret_does_not_have_is_refused_with_those_that_it_has() -> None:
    refused = " ".join(said("rotate", "privacy-key", "--algorithm", "des", status=2).split())
    assert "privacy-key can't be used with 'des'; it can with aes-256-gcm or chacha20-poly1305" in refused
    refused = " ".join(said("rotate", "token-key", "--algorithm", "sha3-256", status=2).split())
    assert "token-key has one algorithm; privacy-key and key-hash have a choice" in refused
    with pytest.raises(NotRotated, match="organizer-key has one algorithm"):
        secrets_here.rotate(["organizer-key"], finish=False, algorithm="sha3-256")


def test_services_that_are_started_by_hand_get_a_key_each_that_belong_together() -> None:
    done = CliRunner().invoke(app, ["secrets", "services", "--json"])
    assert done.exit_code == 0, done.output
    keys = {each["service"]: each["key"] for each in json.loads(done.output)}
    assert set(keys) == set(NAMES)
    token = ServiceKeys([keys["orders"]]).token("concerts")
    assert ServiceKeys([keys["concerts"]], serves=["concerts"]).caller(token.encode()) == "orders"
