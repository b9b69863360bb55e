"""Secrets in Azure: kept in the vault, given to container apps by version, known once all replicas are others.

By version, because a reference without one is read again by Azure within half an hour, at a moment of its own: in the
midst of a change a process would begin with a secret that the others don't know yet. Secrets belong to the app, not to
a revision, so what is scaled out, activated or released meanwhile gets the same.
"""

import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cludale.adapters.system.keys import KEY_BYTES
from cludale_operations.release.azure_words import AzureWords, Words
from cludale_operations.rotation import (
    ALONE,
    FOLLOWING,
    SERVICE_KEY,
    TOO,
    NotRotated,
    Pair,
    Stage,
    course,
    described,
    given,
    settled,
)

STAGE = "stage"
"""The tag of a second secret that says what it is."""
LOOK_SECONDS = 5.0
RESTART_SECONDS = 300.0


class VaultNames(NamedTuple):
    """What the resources are called."""

    resource_group: str
    vault: str
    subscription: str | None = None


class SecretCommands(AzureWords):
    """Builds the command lines of `az`. No secret is in one: processes' arguments can be read by others."""

    def __init__(self, names: VaultNames) -> None:
        super().__init__(names.resource_group, names.subscription)
        self._vault = names.vault

    def kept(self, name: str) -> Words:
        """The secret's newest version: its value, its id, its tags."""
        return self._json("keyvault", "secret", "show", "--vault-name", self._vault, "--name", name)

    def keep(self, name: str, file: str, stage: Stage) -> Words:
        """A new version, whose value is the file's content."""
        where = ("--vault-name", self._vault, "--name", name)
        return self._json(
            "keyvault", "secret", "set", *where, "--file", file, "--encoding", "utf-8", "--tags", f"{STAGE}={stage}"
        )

    def show(self, service: str) -> Words:
        """The app: what its secrets refer to."""
        return self._app("show", service=service)

    def give(self, service: str, references: Sequence[str]) -> Words:
        """Have the app's secrets refer to these versions."""
        return self._app("secret", "set", "--secrets", *references, service=service)

    def revisions(self, service: str) -> Words:
        """Its revisions that run."""
        return self._app("revision", "list", service=service)

    def replicas(self, service: str, revision: str) -> Words:
        """A revision's replicas, with their containers."""
        return self._app("replica", "list", "--revision", revision, service=service)

    def restart(self, service: str, revision: str) -> Words:
        """Start its replicas anew, with the secrets as they are now."""
        return self._app("revision", "restart", "--revision", revision, service=service)


class _Kept(NamedTuple):
    value: str
    id: str
    stage: str


class AzureRotation:
    """Changes secrets of one platform."""

    def __init__(
        self,
        az: Callable[[Words], Any],
        names: VaultNames,
        services: Sequence[str],
        *,
        report: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._az = az
        self._commands = SecretCommands(names)
        self._services = services
        self._report = report
        self._sleep = sleep
        self._now = now

    def rotate(self, name: str, *, finish: bool = False, algorithm: str | None = None) -> Pair:
        """Change the secret; how it stands then. What was cut off is taken up. Raises NotRotated, PlatformFailed."""
        pair = self.pair(name)
        new = secrets.token_urlsafe(KEY_BYTES)
        for following in course(name, pair, new, finish=finish, algorithm=algorithm):
            self._check(name)
            pair = self._put(name, pair, following)
            for service in self._services:
                self._give(service, name)
            self._report(f"{name}: every process knows that {described(name, pair)}")
        return pair

    def pair(self, name: str) -> Pair:
        """The pair as the vault has it now. Raises PlatformFailed."""
        kept = self._secret_in_vault(name)
        if name == ALONE:
            return settled(kept.value)
        too = self._secret_in_vault(name + TOO)
        if too.value == kept.value:
            return settled(kept.value)
        # who put one there by hand did so before using it
        stage = Stage.FORMER if too.stage == Stage.FORMER else Stage.NEXT
        return Pair(kept.value, too.value, stage)

    def _secret_in_vault(self, name: str) -> _Kept:
        found = self._az(self._commands.kept(name))
        return _Kept(found["value"], found["id"], (found.get("tags") or {}).get(STAGE, ""))

    def _put(self, name: str, present: Pair, pair: Pair) -> Pair:
        """Keep it. The second one first: cut off in between, there is what was used before, and it begins anew."""
        if name != ALONE and (pair.too, pair.stage) != (present.too, present.stage):
            self._keep(name + TOO, pair.too, pair.stage)
        if pair.secret != present.secret:
            self._keep(name, pair.secret, Stage.SETTLED)
        return pair

    def _keep(self, name: str, value: str, stage: Stage) -> None:
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
            file.write(value)
            file.flush()
            self._az(self._commands.keep(name, file.name, stage))

    def _check(self, name: str) -> None:
        """Is every revision that runs given what is changed, by reference? Raises NotRotated."""
        given = [name] if name != ALONE else [name, *FOLLOWING]
        wanted = {*given, *(each + TOO for each in given if name != ALONE)}
        for service in self._services:
            for revision in self._az(self._commands.revisions(service)):
                (container,) = revision["properties"]["template"]["containers"]
                missing = wanted - {each.get("secretRef") for each in container.get("env") or []}
                if missing:
                    raise NotRotated(
                        f"{revision['name']} is not given {', '.join(sorted(missing))}: deploy the templates and "
                        "release, then rotate. Nothing was changed for it"
                    )

    def _give(self, service: str, name: str) -> None:
        """Give an app what the vault has now; return when none but new replicas run. Raises NotRotated."""
        app = self._az(self._commands.show(service))
        identities = {each["name"]: each.get("identity") for each in app["properties"]["configuration"]["secrets"]}
        names = [name] if name == ALONE else [name, name + TOO]
        if name == SERVICE_KEY:
            for each in names:
                self._keep_own(service, each)
        references = [
            f"{each}=keyvaultref:{self._secret_in_vault(_in_vault(service, each)).id},identityref:{identities[each]}"
            for each in names
        ]
        self._az(self._commands.give(service, references))
        for revision in self._az(self._commands.revisions(service)):
            self._restart(service, revision["name"])

    def _keep_own(self, service: str, name: str) -> None:
        """Put a service's own key into the vault, if it is not there: it follows from the one that it is not given."""
        own = given(SERVICE_KEY, self._secret_in_vault(name).value, service)
        if self._secret_in_vault(_in_vault(service, name)).value != own:
            self._keep(_in_vault(service, name), own, Stage.SETTLED)

    def _restart(self, service: str, revision: str) -> None:
        before = {each["containerId"] for each in self._containers(service, revision)}
        self._az(self._commands.restart(service, revision))
        until = self._now() + RESTART_SECONDS
        while True:
            there = self._containers(service, revision)
            if there and all(each["ready"] and each["containerId"] not in before for each in there):
                return
            if self._now() > until:
                raise NotRotated(
                    f"{revision} was restarted, and after {RESTART_SECONDS:g} s not all of its replicas are new "
                    "and ready. The same command goes on from here"
                )
            self._sleep(LOOK_SECONDS)

    def _containers(self, service: str, revision: str) -> list[Any]:
        replicas = self._az(self._commands.replicas(service, revision))
        # the sidecar is one of its containers, and knows no secret
        return [
            container
            for each in replicas
            for container in each["properties"]["containers"]
            if container["name"] == service
        ]


def _in_vault(service: str, name: str) -> str:
    """What the vault calls a service's secret: its own key has its name before it."""
    return f"{service}-{name}" if name.removesuffix(TOO) == SERVICE_KEY else name
