"""What a kind's table and columns may be called in a database: the same in SQLite and in PostgreSQL. No I/O."""

import re
from typing import Final

from cludale.ports.records import Kind

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
OWN_COLUMNS: Final = ("n", "id", "version", "body")
"""What each table has beside the indexed fields of its kind."""


def check_names(kind: Kind) -> None:
    """Can table and columns have these names? Raises ValueError."""
    for name in (kind.service, kind.name, *kind.indexed):
        if not NAME.match(name):
            raise ValueError(f"{name!r} in {kind} can't name a table or column")
    folded = [field.casefold() for field in kind.indexed]
    if len(set(folded)) < len(folded) or set(folded) & set(OWN_COLUMNS):
        raise ValueError(f"{kind} declares an indexed field twice, or one named {', '.join(OWN_COLUMNS)}")
