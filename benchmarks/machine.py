"""What it was measured on: a number without its machine and commit says nothing. Names no host and no path."""

import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import apsw

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "benchmarks" / "results"
SCRATCH = PROJECT / ".cache" / "benchmarks"
"""Where the servers' data go meanwhile: on the disk that ./data is on."""

_SYNCS = 200
_SYNC_BYTES = 4096


def facts() -> dict[str, Any]:
    """Processor, memory, kernel, versions, and what a durable write costs here."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memoryMiB": int(_field("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_version()}, {platform.python_build()[1]}",
        "sqlite": apsw.sqlite_lib_version(),
        **fsync_cost(),
    }


def fsync_cost() -> dict[str, float]:
    """Milliseconds that appending 4 KiB and fdatasync take on the disk that the data are on."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    took = []
    with tempfile.TemporaryFile(dir=SCRATCH) as file:
        for _ in range(_SYNCS):
            began = perf_counter()
            os.write(file.fileno(), bytes(_SYNC_BYTES))
            os.fdatasync(file.fileno())
            took.append((perf_counter() - began) * 1000)
    percentiles = quantiles(took, n=100)
    return {"fsyncP50Ms": round(percentiles[49], 3), "fsyncP99Ms": round(percentiles[98], 3)}


def provenance(module: str, arguments: list[str]) -> dict[str, Any]:
    """When, which commit, which command, and the settings that were not the default; no key, and no folder of tools."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short", "HEAD") or "unknown",
        "uncommittedChanges": bool(_git("status", "--porcelain", "--untracked-files=no", "--", "src")),
        "command": " ".join(["python", "-m", module, *arguments]),
        "settings": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith("CLUDALE_") and "KEY" not in name and name != "CLUDALE_CACHE"
        },
    }


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""
