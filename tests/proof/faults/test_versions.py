"""The versions that are made for releases still fit the sources that they change."""

from pathlib import Path

import pytest
from tests.proof.faults.versions import ANSWERS_500, CHANGED_EVENT, IS_SLOW, Patch, version


@pytest.mark.parametrize("patches", [CHANGED_EVENT, ANSWERS_500, IS_SLOW], ids=["changed", "errors", "slow"])
def test_its_patches_fit_the_sources(tmp_path: Path, patches: tuple[Patch, ...]) -> None:
    made = version(tmp_path / "made", *patches)
    for file, _, after in patches:
        text = (made / "cludale" / file).read_text()
        assert after in text
        compile(text, file, "exec")
