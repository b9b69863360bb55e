"""The command lines of azure-cli that a restore uses, as lists of words. Pure; a test has the real one parse each."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from cludale_operations.release.azure_words import AzureWords, Words


class StoreCommands(AzureWords):
    """Builds them for the Cosmos DB accounts of one resource group."""

    def _of_group(self, *words: str) -> Words:
        return self._json(*words, "--resource-group", self._group)

    def accounts(self) -> Words:
        """All accounts, with their state."""
        return self._of_group("cosmosdb", "list")

    def restorable(self, account: str) -> Words:
        """What can be restored under this name, deleted accounts too: of the subscription, not of a group."""
        words = ["cosmosdb", "restorable-database-account", "list", "--account-name", account]
        return self._json(*words)

    def latest_backup(self, account: str, location: str, database: str, container: str) -> Words:
        """Up to when a container of an account can be restored."""
        where = ("--account-name", account, "--location", location)
        what = ("--database-name", database, "--container-name", container)
        return self._of_group("cosmosdb", "sql", "retrieve-latest-backup-time", *where, *what)

    def throughput(self, account: str, database: str, container: str) -> Words:
        """A container's reserved throughput."""
        where = ("--account-name", account, "--database-name", database, "--name", container)
        return self._of_group("cosmosdb", "sql", "container", "throughput", "show", *where)

    def restore(self, account: str, location: str, target: str, moment: datetime, *, is_closed: bool) -> Words:
        """Restore an account to a moment, as another one. az waits for the end. Without keys, as every store here."""
        to = (
            "--target-database-account-name",
            target,
            "--restore-timestamp",
            moment.strftime("%Y-%m-%dT%H:%M:%S+0000"),
        )
        access = ("--public-network-access", "DISABLED" if is_closed else "ENABLED", "--disable-local-auth", "true")
        return self._of_group("cosmosdb", "restore", "--account-name", account, "--location", location, *to, *access)

    def deploy(self, name: str, template: Path, parameters: Mapping[str, str]) -> Words:
        """Deploy a template to the resource group."""
        given = ("--parameters", *(f"{key}={value}" for key, value in parameters.items()))
        return self._of_group("deployment", "group", "create", "--name", name, "--template-file", str(template), *given)

    def endpoints(self) -> Words:
        """The private endpoints."""
        return self._of_group("network", "private-endpoint", "list")

    def delete_endpoint(self, name: str) -> Words:
        """Take a private endpoint away."""
        return self._of_group("network", "private-endpoint", "delete", "--name", name)

    def delete(self, account: str) -> Words:
        """Take an account away. It can be restored itself for as long as its backups are kept."""
        return self._of_group("cosmosdb", "delete", "--name", account, "--yes")
