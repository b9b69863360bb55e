"""Where the programs are looked for."""

import os
import re
from pathlib import Path

import pytest
from tests.parts import need

from cludale_operations.local.daprd import BUILT_FOR, TESTED, ForeignSidecar, untested
from cludale_operations.local.find import MissingProgram, cache_folder, find

GO_MOD, SIDECAR_IMAGE = Path("tools/daprd/go.mod"), Path("docker/daprd.Dockerfile")


def program(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on it."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLUDALE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("name", ["daprd", "nats-server"])
def test_the_path_comes_first_then_daprs_own_folder_then_the_cache(bare: Path, name: str) -> None:
    cached = program(bare / "cache/bin", name)
    assert find(name) == cached
    installed = program(bare / "home/.dapr/bin", name)
    assert find(name) == installed
    on_path = program(bare / "path", name)
    assert find(name) == on_path


def test_a_sidecar_that_is_not_ours_is_refused(bare: Path) -> None:
    theirs = program(bare / "home/.dapr/bin", "daprd")
    theirs.write_text("#!/bin/sh\necho 1.16.2\n")
    with pytest.raises(ForeignSidecar) as refused:
        untested()
    assert f"{theirs} (1.16.2) is not the sidecar of tools/daprd" in str(refused.value)
    assert str(bare / "cache/bin") in str(refused.value)


def test_our_own_sidecar_and_none_at_all_are_not(bare: Path) -> None:
    assert untested() is None
    ours = program(bare / "cache/bin", "daprd")
    ours.write_text(f"#!/bin/sh\necho {TESTED}, {BUILT_FOR}\n")
    assert untested() is None


def test_what_make_builds_is_ours() -> None:
    """Whatever sidecar the tests here run on: in CI, and wherever there is no other, it is the one of tools/daprd."""
    need("daprd")
    if os.environ.get("CI") or find("daprd").parent == (cache_folder() / "bin").resolve():
        assert untested() is None


def test_one_of_ours_from_another_dapr_is_said_to_be_untested(bare: Path) -> None:
    other = program(bare / "path", "daprd")
    other.write_text(f"#!/bin/sh\necho 1.17.3, {BUILT_FOR}\n")
    assert untested() == f"{other} is Dapr 1.17.3; everything here is tested with {TESTED}"


def test_the_tested_dapr_is_the_same_everywhere() -> None:
    asked = re.findall(r"^\tgithub\.com/dapr/(?:dapr|components-contrib) v(\S+)", GO_MOD.read_text(), re.MULTILINE)
    assert TESTED in asked
    assert {each.rpartition(".")[0] for each in asked} == {TESTED.rpartition(".")[0]}  # components of the same line
    said = re.findall(r"buildinfo\.version=([\d.]+)|daprio/daprd:([\d.]+)", SIDECAR_IMAGE.read_text())
    assert {one or other for one, other in said} == {TESTED}
    page = Path("docs/run/distributed.md").read_text(encoding="utf-8")
    assert f"Dapr {TESTED}" in page


@pytest.mark.parametrize(("missing", "target"), [("daprd", "make daprd"), ("nats-server", "make nats")])
def test_what_is_not_there_is_named_with_what_brings_it(bare: Path, missing: str, target: str) -> None:
    with pytest.raises(MissingProgram, match=f"there is no {missing} in .*`{target}"):
        find(missing)


def test_without_a_setting_the_cache_is_beside_the_makefile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLUDALE_CACHE", raising=False)
    assert cache_folder() == Path(__file__).parents[3] / ".cache"
