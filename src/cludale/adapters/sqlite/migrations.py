"""What brings a store that an older version wrote up to date. Runs within the transaction that prepares the store."""

import apsw

from cludale.adapters.sqlite.outbox import packed
from cludale.ports.outbox import Outgoing


def from_version_1(connection: apsw.Connection) -> None:
    """The outbox had a row for each event, with its topic beside it."""
    waiting = [Outgoing(*row) for row in connection.execute("SELECT position, topic, body FROM outbox")]
    connection.execute("ALTER TABLE outbox ADD COLUMN events INTEGER NOT NULL DEFAULT 1")
    connection.execute("ALTER TABLE outbox DROP COLUMN topic")
    for entry in waiting:
        position, events, body = packed([entry])
        connection.execute("UPDATE outbox SET events = ?, body = ? WHERE position = ?", (events, body, position))
    connection.pragma("user_version", 2)
