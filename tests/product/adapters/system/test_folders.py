"""A folder is watched for the price of one stat."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from cludale.adapters.system.folders import FolderWatch
from cludale.adapters.system.keys import put_key

YEAR_NS = 365 * 24 * 3600 * 10**9


def is_old(folder: Path, *, by_ns: int = YEAR_NS) -> None:
    then = time.time_ns() - by_ns
    os.utime(folder, ns=(then, then))


def test_a_folder_in_which_nothing_changed_is_looked_at_once(tmp_path: Path) -> None:
    is_old(tmp_path)
    watch = FolderWatch(tmp_path)
    assert [watch.may_have_changed() for _ in range(3)] == [True, False, False]


def test_a_key_that_comes_is_replaced_or_goes_is_seen(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path)
    key = tmp_path / "token.key"
    changes: list[Callable[[], None]] = [lambda: put_key(key, "a"), lambda: put_key(key, "b"), key.unlink]
    for change in changes:
        is_old(tmp_path)
        assert watch.may_have_changed()
        assert not watch.may_have_changed()
        change()
        assert watch.may_have_changed()
        is_old(tmp_path, by_ns=2 * YEAR_NS)
        assert watch.may_have_changed()


def test_a_folder_that_changed_just_now_may_have_changed_again_within_the_same_tick(tmp_path: Path) -> None:
    put_key(tmp_path / "token.key", "a")
    watch = FolderWatch(tmp_path)
    assert [watch.may_have_changed() for _ in range(2)] == [True, True]


def test_what_could_not_be_read_and_a_folder_that_is_gone_are_looked_at_again(tmp_path: Path) -> None:
    is_old(tmp_path)
    watch = FolderWatch(tmp_path)
    watch.may_have_changed()
    watch.look_again()
    assert watch.may_have_changed()
    gone = FolderWatch(tmp_path / "gone")
    assert [gone.may_have_changed() for _ in range(2)] == [True, True]
