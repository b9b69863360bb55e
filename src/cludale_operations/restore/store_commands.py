"""The command lines of azure-cli that a restore uses, as lists of words. Pure; a test has the real one parse each."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

Words = list[str]


class StoreCommands:
    """Builds them for the Cosmos DB accounts of one resource group."""

    def __init__(self, resource_group: str, subscription: str | None = None) -> None:
        self._group = resource_group
        self._subscription = subscription

    def _json(self, *words: str) -> Words:
        subscription = ["--subscription", self._subscription] if self._subscription else []
        return [*words, "--resource-group", self._group, *subscription, "--only-show-errors", "--output", "json"]

    def accounts(self) -> Words:
        """All accounts, with their state."""
        return self._json("cosmosdb", "list")

    def restorable(self, account: str) -> Words:
        """What can be restored under this name, deleted accounts too: of the subscription, not of a group."""
        subscription = ["--subscription", self._subscription] if self._subscription else []
        words = ["cosmosdb", "restorable-database-account", "list", "--account-name", account]
        return [*words, *subscription, "--only-show-errors", "--output", "json"]

    def latest_backup(self, account: str, location: str, database: str, container: str) -> Words:
        """Up to when a container of an account can be restored."""
        where = ("--account-name", account, "--location", location)
        what = ("--database-name", database, "--container-name", container)
        return self._json("cosmosdb", "sql", "retrieve-latest-backup-time", *where, *what)

    def throughput(self, account: str, database: str, container: str) -> Words:
        """A container's reserved throughput."""
        where = ("--account-name", account, "--database-name", database, "--name", container)
        return self._json("cosmosdb", "sql", "container", "throughput", "show", *where)

    def restore(self, account: str, location: str, target: str, moment: datetime, *, is_closed: bool) -> Words:
        """Restore an account to a moment, as another one. az waits for the end. Without keys, as every store here."""
        to = (
            "--target-database-account-name",
            target,
            "--restore-timestamp",
            moment.strftime("%Y-%m-%dT%H:%M:%S+0000"),
        )
        access = ("--public-network-access", "DISABLED" if is_closed else "ENABLED", "--disable-local-auth", "true")
        return self._json("cosmosdb", "restore", "--account-name", account, "--location", location, *to, *access)

    def deploy(self, name: str, template: Path, parameters: Mapping[str, str]) -> Words:
        """Deploy a template to the resource group."""
        given = ("--parameters", *(f"{key}={value}" for key, value in parameters.items()))
        return self._json("deployment", "group", "create", "--name", name, "--template-file", str(template), *given)

    def endpoints(self) -> Words:
        """The private endpoints."""
        return self._json("network", "private-endpoint", "list")

    def delete_endpoint(self, name: str) -> Words:
        """Take a private endpoint away."""
        return self._json("network", "private-endpoint", "delete", "--name", name)

    def delete(self, account: str) -> Words:
        """Take an account away. It can be restored itself for as long as its backups are kept."""
        return self._json("cosmosdb", "delete", "--name", account, "--yes")
