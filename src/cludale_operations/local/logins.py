"""Who logs in at a server of ours, and with what. Two users take turns, so that two passwords can be good at once."""

import secrets
from pathlib import Path
from typing import NamedTuple

from cludale.adapters.system.keys import put_key

USERS = ("cludale", "cludale_2")
_PASSWORD_BYTES = 24


class Login(NamedTuple):
    """A user of a server, and the password."""

    user: str
    password: str


def new_password() -> str:
    """Letters and digits: on a command line it is taken for no option."""
    return secrets.token_hex(_PASSWORD_BYTES)


def kept_login(folder: Path) -> Login:
    """The one that is used, as `password` in the folder says; a password alone is the first user's. Raises OSError."""
    text = (folder / "password").read_text().strip()
    user, colon, password = text.partition(":")
    return Login(user, password) if colon and user in USERS else Login(USERS[0], text)


def keep_login(folder: Path, login: Login) -> None:
    """From now on this one is used."""
    put_key(folder / "password", login.password if login.user == USERS[0] else ":".join(login))


def new_login(present: Login | None = None, *, of: str | None = None) -> Login:
    """The other user, with a new password; without a present one, the first user. `of`: a service, if it is one's."""
    first, second = USERS if of is None else (f"{each}_{of}" for each in USERS)
    user = first if present is None or present.user != first else second
    return Login(user, new_password())
