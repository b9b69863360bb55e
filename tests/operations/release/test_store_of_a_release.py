"""A release keeps the store of what serves, whatever the app's template has from the trial of a restored one."""

from pathlib import Path

import pytest
from tests.operations.release.azure import DEAD_LETTER_TOPICS, NAMES, NEW, ORDER, PACE, PATHS, Azure, azure

from cludale.services.catalogue import CATALOGUE
from cludale_operations.release.azure import AzureDriver
from cludale_operations.release.judgement import Bounds
from cludale_operations.release.release import Release

pytestmark = pytest.mark.slow

VARIABLE = "CLUDALE_COSMOS_ENDPOINT"
OTHER = "https://restored.documents.azure.com:443/"


def _stores(cloud: Azure, suffix: str) -> set[str]:
    return {
        variable["value"]
        for app in cloud.state["apps"].values()
        for revision in app["revisions"]
        if revision["name"].endswith(f"--{suffix}")
        for variable in revision["env"]
        if variable["name"] == VARIABLE
    }


def test_a_release_after_a_trial_of_another_store_goes_on_with_the_one_in_use(tmp_path: Path) -> None:
    with azure(tmp_path) as cloud:
        in_use = _stores(cloud, "c0")
        trial = AzureDriver(
            cloud.az, NAMES, PATHS, [each.name for each in CATALOGUE.topics], DEAD_LETTER_TOPICS, store=OTHER
        )
        over = Release(trial, ORDER, pace=PACE, bounds=Bounds(), report=cloud.told.append, sleep=lambda _: None)
        over.deploy(NEW, "d1")
        over.roll_back()
        assert _stores(cloud, "d1") == {OTHER}
        cloud.release.deploy(NEW, "c1")
        assert cloud.release.promote().is_good
        assert _stores(cloud, "c1") == _stores(cloud, "c1-on") == in_use
        assert len(in_use) == 1
