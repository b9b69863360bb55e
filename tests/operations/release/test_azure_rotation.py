"""Secrets are changed in Azure, over the double of `az`: at no moment does one process refuse another one."""

import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.operations.release.azure import DOUBLE, NAMES, NEW, VAULT, Azure, azure, old_secret

from cludale.services import NAMES as SERVICES
from cludale.web.service_keys import ANY, ServiceKeys, service_of
from cludale_operations.release.azure import Az
from cludale_operations.release.azure_rotation import AzureRotation, VaultNames
from cludale_operations.release.driver import PlatformFailed
from cludale_operations.rotation import ALONE, EACH, PAIRED, SERVICE_KEY, NotRotated, Stage, given

PLACE = VaultNames(NAMES.resource_group, "the-vault")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Azure]:
    with azure(tmp_path) as made:
        yield made


def processes(state: dict[str, Any]) -> list[dict[str, str]]:
    """What each process that runs knows, and which service it is: `app`."""
    return [
        {**replica["knows"], "app": service}
        for service, app in state["apps"].items()
        for revision in app["revisions"]
        if revision["active"]
        for replica in revision["replicas"]
    ]


def understand_each_other(state: dict[str, Any]) -> bool:
    """Does each process take what each other one uses: calls with one's credential, tokens made with one's key?"""
    known = processes(state)
    return all(
        _lets_in(asked["app"], asked[name], asked[f"{name}-too"], caller=maker["app"], key=maker[name])
        if name == SERVICE_KEY
        else maker[name] in (asked[name], asked[f"{name}-too"])
        for maker, asked in product(known, known)
        for name in PAIRED
    )


@cache
def _lets_in(app: str, own: str, too: str, *, caller: str, key: str) -> bool:
    """After most of the commands most processes know what they knew before."""
    token = ServiceKeys([key]).token(app)
    return ServiceKeys([own, too], serves=[app]).caller(token.encode()) in (ANY, caller)


def rotation(cloud: Azure, *, at: Callable[[list[str]], None] = lambda _: None) -> AzureRotation:
    """Of the double, looked at after each command; `at` is called before each."""

    def run(words: list[str], **more: Any) -> "subprocess.CompletedProcess[str]":
        at(words[1:])
        done = cloud.run(words, **more)
        assert understand_each_other(cloud.state), words
        return done

    az = Az(str(DOUBLE), pause_seconds=0, run=run)
    return AzureRotation(
        az, PLACE, SERVICES, report=cloud.told.append, sleep=cloud.pass_time, now=lambda: cloud.time,
    )  # fmt: skip


def in_vault(cloud: Azure, name: str) -> str:
    return str(cloud.state["vault"][name][-1]["value"])


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.slow
def test_a_secret_is_changed_and_everybody_understands_everybody_all_the_time(cloud: Azure, name: str) -> None:
    pair = rotation(cloud).rotate(name, finish=True)
    assert pair.stage is Stage.SETTLED
    new = in_vault(cloud, name)
    assert new != old_secret(name)
    assert len(new.removeprefix(EACH)) == 43
    for known in processes(cloud.state):
        own = given(name, new, known["app"])
        assert {known[name], known[f"{name}-too"]} == {own}, "the old one is void everywhere"
    others = set(VAULT) - {name, f"{name}-too"}
    assert all(in_vault(cloud, each) == old_secret(each) for each in others)


def test_what_buyers_hold_stays_good_until_somebody_says_otherwise(cloud: Azure) -> None:
    assert rotation(cloud).rotate("token-key").stage is Stage.FORMER
    assert {known["token-key-too"] for known in processes(cloud.state)} == {old_secret("token-key")}
    begun = in_vault(cloud, "token-key")
    assert rotation(cloud).rotate("token-key").stage is Stage.FORMER, "nothing else is begun meanwhile"
    assert rotation(cloud).rotate("token-key", finish=True).stage is Stage.SETTLED
    assert {known["token-key-too"] for known in processes(cloud.state)} == {begun}


def test_the_first_key_ends_and_nothing_that_is_sold_with_does(cloud: Azure) -> None:
    rotation(cloud).rotate(ALONE)
    new = in_vault(cloud, ALONE)
    for known in processes(cloud.state):
        assert known[ALONE] == new != old_secret(ALONE)
        assert all(known[name] == old_secret(name) for name in set(VAULT) - {ALONE})


def test_no_secret_is_in_a_command_line(cloud: Azure) -> None:
    rotation(cloud).rotate("service-key")
    secrets = {version["value"] for versions in cloud.state["vault"].values() for version in versions}
    assert not [word for words in cloud.said for word in words for secret in secrets if secret in word]


@pytest.mark.slow
def test_in_the_midst_of_a_release_both_revisions_are_given_it(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    rotation(cloud).rotate("service-key")
    assert len(processes(cloud.state)) == 24
    for known in processes(cloud.state):
        assert known["service-key-too"] == in_vault(cloud, f"{known['app']}-service-key")


def test_each_service_has_a_key_of_its_own_once_they_were_changed(cloud: Azure) -> None:
    rotation(cloud).rotate("service-key")
    known = processes(cloud.state)
    assert {each["app"] for each in known} == set(SERVICES)
    assert all(service_of(each["service-key"]) == each["app"] for each in known)
    assert len({each["service-key"] for each in known}) == len(SERVICES)
    whole = in_vault(cloud, "service-key")
    assert not [each for each in known if whole in each.values()]


class _Cut(Exception):
    """The machine that rotates goes away."""


@pytest.mark.slow
def test_wherever_it_is_cut_off_the_same_command_brings_it_to_its_end(tmp_path: Path) -> None:
    with azure(tmp_path) as whole:
        rotation(whole).rotate("service-key")
        kept = [at for at, words in enumerate(whole.said) if words[:3] == ["keyvault", "secret", "set"]]
        told = [at for at, words in enumerate(whole.said) if {"set", "restart"} & set(words) and at not in kept]
    assert (len(kept), len(told)) == (28, 36)
    for cut in [*kept[::5], *told[::7]]:
        folder = tmp_path / str(cut)
        folder.mkdir()
        with azure(folder) as cloud:
            left = iter(range(cut, -1, -1))

            def lasts(_: list[str], left: Iterator[int] = left) -> None:
                if next(left) == 0:
                    raise _Cut

            with pytest.raises(_Cut):
                rotation(cloud, at=lasts).rotate("service-key")
            rotation(cloud).rotate("service-key")
            new = in_vault(cloud, "service-key")
            assert new != old_secret("service-key")
            for known in processes(cloud.state):
                own = given("service-key", new, known["app"])
                assert {known["service-key"], known["service-key-too"]} == {own}


def test_a_revision_that_does_not_get_new_replicas_stops_it_before_anything_else(cloud: Azure) -> None:
    cloud.change(stuck=True)
    with pytest.raises(NotRotated, match=r"concerts--c0 was restarted, and after 300 s"):
        rotation(cloud).rotate("service-key")
    assert in_vault(cloud, "service-key") == old_secret("service-key")
    cloud.change(stuck=False)
    assert rotation(cloud).rotate("service-key").stage is Stage.SETTLED


@pytest.mark.parametrize("name", ["service-key", ALONE])
def test_a_revision_that_is_not_given_what_is_changed_is_named_and_nothing_is_touched(cloud: Azure, name: str) -> None:
    apps = cloud.state["apps"]
    revision = apps["payments"]["revisions"][0]
    revision["env"] = [each for each in revision["env"] if each["name"] != "CLUDALE_SERVICE_KEY"]
    cloud.change(apps=apps)
    with pytest.raises(NotRotated, match="payments--c0 is not given service-key: deploy the templates"):
        rotation(cloud).rotate(name)
    assert all(len(versions) == 1 for versions in cloud.state["vault"].values())


def test_an_unknown_secret_is_refused(cloud: Azure) -> None:
    with pytest.raises((NotRotated, PlatformFailed), match="smtp-password"):
        rotation(cloud).rotate("smtp-password")
