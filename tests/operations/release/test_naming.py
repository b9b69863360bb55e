"""What a version's revisions are called."""

import re

import pytest
from tests.operations.infra.templates import INFRA
from tests.operations.release.azure import BUILT_ANEW, NEW

from cludale.services import NAMES
from cludale_operations.release.deployed import NotNow
from cludale_operations.release.naming import CANARY, ON, suffix_of

COMMIT = "0123456789ABCDEF0123456789abcdef01234567"


def test_the_name_follows_from_commit_and_image() -> None:
    assert suffix_of(COMMIT, NEW) == "c01234567-1111111"
    assert suffix_of(COMMIT, BUILT_ANEW) != suffix_of(COMMIT, NEW)
    assert suffix_of("f" * 40, NEW) != suffix_of(COMMIT, NEW)


@pytest.mark.parametrize("service", NAMES)
def test_azure_and_the_templates_take_every_revisions_name(service: str) -> None:
    """The pattern is azure-cli's, the length Azure's own."""
    for suffix in (suffix_of(COMMIT, NEW) + each for each in ("", CANARY, ON)):
        assert re.fullmatch(r"[a-z](?!.*-{2})([-a-z0-9]*[a-z0-9])?", suffix)
        assert len(f"{service}--{suffix}") <= 54
        longest = re.findall(r"@maxLength\((\d+)\)\nparam \w+Suffix ", (INFRA / "main.bicep").read_text())
        assert len(longest) == 3
        assert all(len(suffix) <= int(each) for each in longest)


@pytest.mark.parametrize(
    ("commit", "image"),
    [("main", NEW), ("", NEW), (COMMIT, "registry/cludale:latest"), (COMMIT, "registry/cludale@sha256:1234")],
)
def test_what_is_no_commit_or_no_digest_names_nothing(commit: str, image: str) -> None:
    with pytest.raises(NotNow, match="expected"):
        suffix_of(commit, image)
