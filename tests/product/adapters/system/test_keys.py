"""Keys are made once, kept private, and never replaced."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cludale.adapters.system.keys import UnusableKey, kept_key


def test_a_key_is_made_once_and_then_read(tmp_path: Path) -> None:
    path = tmp_path / "data" / "organizer.key"
    key = kept_key(path)
    assert len(key) >= 43
    assert kept_key(path) == key


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "token.key"
    kept_key(path)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o600, 0o700]


def test_all_who_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(kept_key, [tmp_path / "token.key"] * 64))
    assert len(keys) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["token.key"]


def test_a_key_that_the_organizer_wrote_is_used(tmp_path: Path) -> None:
    (tmp_path / "organizer.key").write_text("open-sesame\n")
    assert kept_key(tmp_path / "organizer.key") == "open-sesame"


def test_an_empty_file_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "organizer.key").touch()
    with pytest.raises(UnusableKey, match="holds no key"):
        kept_key(tmp_path / "organizer.key")


def test_bytes_that_fit_in_no_header_are_no_key(tmp_path: Path) -> None:
    (tmp_path / "organizer.key").write_bytes(b"\xff\x00")
    with pytest.raises(UnusableKey, match="holds no key"):
        kept_key(tmp_path / "organizer.key")
