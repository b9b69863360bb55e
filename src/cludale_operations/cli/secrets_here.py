"""Secrets of the platform over the data folder of this machine: `cludale up` is asked to change them, or they are here.

A server of one process looks at its token key all the time, so a change in its folder is known within a second.
"""

import os
from collections.abc import Sequence

from cludale.adapters.system.keys import new_key
from cludale.wiring.settings import Settings
from cludale_operations.cli.screen import say
from cludale_operations.cli.up import ask_up
from cludale_operations.local.kept_pairs import KeptPairs
from cludale_operations.rotation import KEPT_FOR_BUYERS, PAIRED, NotRotated, Stage, course, described

NAMES = (*PAIRED, "organizer-key", "database", "broker")


def pairs() -> KeptPairs:
    """Those of the data folder. Raises NotRotated."""
    settings = Settings.from_env(os.environ)
    if not settings.data_dir.is_dir():
        raise NotRotated(f"there is no data folder {settings.data_dir}: name it with CLUDALE_DATA_DIR")
    return KeptPairs(settings.data_dir, settings)


def rotate(names: Sequence[str], *, finish: bool) -> None:
    """Change these secrets. Raises NotRotated, UnusableKey."""
    kept = pairs()
    if (Settings.from_env(os.environ).data_dir / "up.json").exists():
        ask_up({"rotate": list(names), "finish": finish}, ", ".join(names))
        return
    if list(names) != [KEPT_FOR_BUYERS]:
        raise NotRotated(
            f"a server of one process has {KEPT_FOR_BUYERS} alone to change while it runs; its first key is what "
            "CLUDALE_ORGANIZER_KEY or organizer.key says at its start, and `cludale up` runs over another folder"
        )
    for pair in course(KEPT_FOR_BUYERS, kept.pair(KEPT_FOR_BUYERS), new_key(), finish=finish):
        if pair.stage is Stage.NEXT:
            continue  # one process: nobody else makes tokens that it has to know before it makes some itself
        kept.keep(KEPT_FOR_BUYERS, pair)
        say(f"{KEPT_FOR_BUYERS}: {described(KEPT_FOR_BUYERS, pair)}")
