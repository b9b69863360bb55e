"""Where the programs are looked for."""

from pathlib import Path

import pytest

from cludale.local.find import MissingProgram, cache_folder, find


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


def test_the_path_comes_first_then_daprs_own_folder_then_the_cache(bare: Path) -> None:
    cached = program(bare / "cache/bin", "daprd")
    assert find("daprd") == cached
    installed = program(bare / "home/.dapr/bin", "daprd")
    assert find("daprd") == installed
    on_path = program(bare / "path", "daprd")
    assert find("daprd") == on_path


@pytest.mark.parametrize(("missing", "target"), [("daprd", "make daprd"), ("nats-server", "make nats")])
def test_what_is_not_there_is_named_with_what_brings_it(bare: Path, missing: str, target: str) -> None:
    with pytest.raises(MissingProgram, match=f"there is no {missing} in .*`{target}"):
        find(missing)


def test_without_a_setting_the_cache_is_beside_the_makefile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLUDALE_CACHE", raising=False)
    assert cache_folder() == Path(__file__).parents[2] / ".cache"
