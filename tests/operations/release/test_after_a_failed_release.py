"""After a release that was taken back its revisions are there still, stopped; no later step puts their names again."""

from pathlib import Path

import pytest
from tests.operations.release.azure import BUILT_ANEW, NEW, OLD, azure

from cludale_operations.release.driver import PlatformFailed


@pytest.mark.slow
def test_the_release_after_a_failed_one_goes_through_and_puts_no_suffix_twice(tmp_path: Path) -> None:
    with azure(tmp_path) as cloud:
        cloud.release.deploy(NEW, "c1")
        cloud.change(bad={NEW: {"errors": 0.2}})
        assert not cloud.release.promote().is_good
        cloud.release.deploy(BUILT_ANEW, "c2")
        assert cloud.release.promote().is_good
        assert cloud.release.watch().is_good
        put = [
            (words[words.index("--name") + 1], words[words.index("--revision-suffix") + 1])
            for words in cloud.said
            if "--revision-suffix" in words
        ]
        assert len(put) == len(set(put))


def test_the_double_refuses_a_suffix_whose_revision_is_stopped(tmp_path: Path) -> None:
    with azure(tmp_path) as cloud:
        cloud.release.deploy(NEW, "c1")
        cloud.driver.deactivate("orders", "orders--c1")
        words = ["containerapp", "update", "--name", "orders", "--resource-group", "cludale-test", "--image", OLD]
        with pytest.raises(PlatformFailed, match="already exists"):
            cloud.az([*words, "--revision-suffix", "c1", "--set-env-vars", "CLUDALE_CONSUME=0", "--output", "json"])
