"""The pairs of secrets that a data folder keeps: which is used, and which is good, too (rotation.py)."""

from pathlib import Path
from typing import Final

from cludale.adapters.system.keys import kept_pair, put_key
from cludale.wiring.keys import keep_key_hash
from cludale.wiring.settings import Settings
from cludale_operations.rotation import NotRotated, Pair, Stage, settled

KEY_HASHES: Final = "keys"
"""The name of the file for `key-hash`."""


class KeptPairs:
    """`token.key`, `service.key` and the others in a data folder, with `…-next.key` or `…-former.key` beside them."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings

    def pair(self, name: str) -> Pair:
        """The pair of this secret, made if there is none. Raises OSError, UnusableKey."""
        field = name.replace("-", "_")
        secret = getattr(self._settings, field)
        if secret is not None:
            too = getattr(self._settings, f"{field}_too")
            return settled(secret) if too is None else Pair(secret, too, Stage.FORMER)
        file = _file(name)
        if file == KEY_HASHES:  # one that is there from the first start on: it may follow from the first key
            keep_key_hash(self._folder, self._settings.organizer_key)
        key, other = kept_pair(self._folder, file)
        if other is None:
            return settled(key)
        is_next = (self._folder / f"{file}-next.key").exists()
        return Pair(key, other, Stage.NEXT if is_next else Stage.FORMER)

    def keep(self, name: str, pair: Pair) -> None:
        """Keep it: also if this is cut off, what was good before or is to be used stays good. Raises NotRotated."""
        self.assert_kept(name)
        file = _file(name)
        key, following, former = (self._folder / f"{file}{end}.key" for end in ("", "-next", "-former"))
        if pair.stage is Stage.NEXT:
            put_key(following, pair.too)
            former.unlink(missing_ok=True)
            return
        if pair.stage is Stage.FORMER:
            put_key(former, pair.too)
        put_key(key, pair.secret)
        following.unlink(missing_ok=True)
        if pair.stage is Stage.SETTLED:
            former.unlink(missing_ok=True)

    def assert_kept(self, name: str) -> None:
        """It is the folder's, and not a setting's. Raises NotRotated."""
        if getattr(self._settings, name.replace("-", "_")) is not None:
            variable = f"CLUDALE_{name.replace('-', '_').upper()}"
            raise NotRotated(f"{variable} is set, and what sets it has to change it: {variable}_TOO first (keys.md)")


def _file(name: str) -> str:
    return KEY_HASHES if name == "key-hash" else name.removesuffix("-key")
