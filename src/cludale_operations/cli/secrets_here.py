"""Secrets of the platform over the data folder of this machine: `cludale up` is asked to change them, or they are here.

A server of one process looks at its token key and key hash all the time, so a change in its folder is known within a
second.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cludale.adapters.system.keys import new_key
from cludale.adapters.system.ticket_keys import replace_file, rotated
from cludale.kernel.times import rfc3339
from cludale.services.tickets.codes import key_of
from cludale.wiring.keys import ticket_keys
from cludale.wiring.settings import Settings
from cludale_operations.cli.screen import say
from cludale_operations.cli.up import ask_up
from cludale_operations.local.kept_pairs import KeptPairs
from cludale_operations.rotation import KEPT_FOR_BUYERS, PAIRED, NotRotated, Stage, check_algorithm, course, described

TICKET_KEYS = "ticket-keys"
WHILE_IT_RUNS = (KEPT_FOR_BUYERS, "key-hash")
"""What a server of one process looks at again and again."""
NAMES = (*PAIRED, "organizer-key", TICKET_KEYS, "database", "broker")
GOOD_FOR = timedelta(days=800)
"""How long tickets signed with the former key stay good: longer than any is sold ahead."""


def pairs() -> KeptPairs:
    """Those of the data folder. Raises NotRotated."""
    settings = Settings.from_env(os.environ)
    if not settings.data_dir.is_dir():
        raise NotRotated(f"there is no data folder {settings.data_dir}: name it with CLUDALE_DATA_DIR")
    return KeptPairs(settings.data_dir, settings)


def ticket_keys_stand(settings: Settings) -> str:
    """How they stand, and never the keys. Raises UnusableKey."""
    if settings.ticket_keys is None and not (settings.data_dir / "tickets.key").exists():
        return "made at the first start"
    now = datetime.now(UTC)
    first, *others = ticket_keys(settings).all()
    good = [key.id for key in others if key.is_good(now)]
    return f"{first.id} signs" + (f", {', '.join(good)} good until its end" if good else "")


def rotate_ticket_keys(settings: Settings) -> str:
    """A new key of the data folder signs from now on; what was done. Raises NotRotated, UnusableKey."""
    path = settings.data_dir / "tickets.key"
    if settings.ticket_keys is not None or not path.exists():
        raise NotRotated(
            "the keys of tickets are not in this data folder: `cludale tickets keys rotate` with their "
            "CLUDALE_TICKET_KEYS prints the value to put in its place, in every process of tickets"
        )
    now = datetime.now(UTC).replace(microsecond=0)
    after = rotated(ticket_keys(settings).all(), former_until=now + GOOD_FOR, now=now, key_of=key_of)
    try:
        replace_file(path, after)
    except OSError as error:
        raise NotRotated(f"the keys of tickets can't be written: {error}") from error
    return f"{TICKET_KEYS}: {after[0].id} signs from now on; {after[1].id} is good until {rfc3339(now + GOOD_FOR)}"


def rotate(names: Sequence[str], *, finish: bool, algorithm: str | None) -> None:
    """Change these secrets. Raises NotRotated, UnusableKey."""
    if algorithm is not None:
        for name in names:
            check_algorithm(name, algorithm)
    kept = pairs()
    if TICKET_KEYS in names:
        if list(names) != [TICKET_KEYS]:
            raise NotRotated(f"{TICKET_KEYS} are changed by themselves")
        say(rotate_ticket_keys(Settings.from_env(os.environ)))
        return
    if (Settings.from_env(os.environ).data_dir / "up.json").exists():
        ask_up({"rotate": list(names), "finish": finish, "algorithm": algorithm}, ", ".join(names))
        return
    if not set(names) <= set(WHILE_IT_RUNS):
        raise NotRotated(
            f"a server of one process has {' and '.join(WHILE_IT_RUNS)} to change while it runs; its first key is what "
            "CLUDALE_ORGANIZER_KEY or organizer.key says at its start, and `cludale up` runs over another folder"
        )
    for name in names:
        for pair in course(name, kept.pair(name), new_key(), finish=finish, algorithm=algorithm):
            if pair.stage is Stage.NEXT:
                continue  # one process: nobody else makes tokens that it has to know before it makes some itself
            kept.keep(name, pair)
            say(f"{name}: {described(name, pair)}")
