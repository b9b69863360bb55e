#!/usr/bin/env bash
# taskiq 0.13.0 with the pycron 3.3.0 that it brings: some schedules of crontab are taken, and never come due.
#
# Most would expect: a schedule as crontab(5) describes it runs when cron would run it, or, where the scheduler does not know
# the form, is refused: taskiq logs "Cannot parse cron" for what it can't read.
# Seen: a part of a field that pycron does not know is passed over in silence, and the field then matches nothing. Sunday is
# 0 for it, never 7, so "0 3 * * 7" runs on no day and "0 3 * * 1-7" on six. Names of months, ranges of names with a step and
# a step from a number (10/20) match nothing either, while names of days are known. No warning, no error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install \
    'taskiq==0.13.0' 'pycron==3.3.0' 'cronsim==2.8' 'croniter==7.0.0' 'tzdata==2026.6'
timeout 120 "$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from croniter import croniter
from cronsim import CronSim
from taskiq.cli.scheduler.run import is_cron_task_now

DAYS = 28
BEGIN = datetime(2027, 1, 4, tzinfo=UTC)  # a Monday
# How often each is due in these four weeks for two other libraries, and for taskiq.
SCHEDULES = {
    "0 3 * * 0": (4, 4),
    "0 3 * * sun": (4, 4),
    "0 3 * * 7": (4, 0),
    "0 3 * * 6-7": (8, 4),
    "0 3 * * 1-7": (28, 24),
    "0 3 * * mon-fri": (20, 20),
    "0 3 * * mon-fri/2": (12, 0),
    "0 3 * jan,feb *": (28, 0),
    "10-59/20 3 * * *": (84, 84),
    "10/20 3 * * *": (84, 0),
}


def due_for_taskiq(cron: str) -> int:
    """How often its scheduler, which asks this every second, sends the task; it logs a CronValueError, if that is raised."""
    moments = (BEGIN + timedelta(minutes=10 * step) for step in range(DAYS * 144))
    return sum(is_cron_task_now(cron, moment) for moment in moments)


def due_for_others(cron: str) -> set[int]:
    before, end = BEGIN - timedelta(minutes=1), BEGIN + timedelta(days=DAYS)
    libraries = CronSim(cron, before), croniter(cron, before, ret_type=datetime)
    return {sum(1 for _ in iter(lambda: next(times) < end, False)) for times in libraries}


print(*(f"{name} {version(name)}" for name in ("taskiq", "pycron", "cronsim", "croniter")), "on Python", sys.version.split()[0])
changed = False
for cron, (expected, known) in SCHEDULES.items():
    seen = due_for_taskiq(cron)
    print(f"{cron}, times due in four weeks\n  expected {expected}\n  seen     {seen}")
    changed |= seen != known or due_for_others(cron) != {expected}
if changed:
    sys.exit("not seen")
print("seen")
PYTHON
