"""What processes used, with all that they started: `/proc`, read from outside."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds; `/proc` counts CPU in these."""

_PAGE_MIB = 4096 / 2**20


def trees(roots: Iterable[int]) -> dict[int, list[int]]:
    """Each root with its descendants that run now."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _fields(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found = {}
    for root in roots:
        tree = [root]
        for pid in tree:
            tree += children[pid]
        found[root] = tree
    return found


def cpu_by_kind(kinds: Mapping[int, str]) -> dict[str, float]:
    """CPU seconds, user and system, of each kind of process, those of descendants that have ended included."""
    used: dict[str, float] = defaultdict(float)
    for root, tree in trees(kinds).items():
        for pid in tree:
            used[kinds[root]] += sum(int(each) for each in _fields(pid)[11:15]) * TICK
    return dict(used)


def cpu_nanoseconds(root: int) -> int:
    """CPU of all threads of a process and of what it started that run now, in nanoseconds.

    `stat` counts in ticks of 10 ms, which is too coarse for a short load. A thread that has ended is not counted any
    more. Needs a kernel that keeps `schedstat`, as those of distributions do.
    """
    used = 0
    for pid in trees([root])[root]:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                used += int((thread / "schedstat").read_text().split()[0])
    return used


def memory_by_kind(kinds: Mapping[int, str]) -> dict[str, float]:
    """Resident MiB of each kind; what processes share counts for each of them."""
    resident: dict[str, float] = defaultdict(float)
    for root, tree in trees(kinds).items():
        for pid in tree:
            fields = _fields(pid)
            resident[kinds[root]] += int(fields[21]) * _PAGE_MIB if fields else 0.0
    return dict(resident)


def most_memory_mib(root: int) -> float:
    """The sum of the most resident MiB that a process, and each of its descendants that run now, ever had."""
    most = 0.0
    for pid in trees([root])[root]:
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            most += sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    return most


def _fields(pid: int) -> list[str]:
    """The fields of `stat` from the state on; none for a process that is gone."""
    try:
        # The name in brackets may hold anything, so what counts begins after its end.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
