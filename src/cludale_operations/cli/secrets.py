"""`cludale secrets`: the platform's secrets, in Azure or on this machine, changed while it sells (docs/run/secrets.md).

Exit statuses: 0 done; 2 it could not be done, and how far it came is said. The same command goes on from there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from cludale.adapters.system.keys import UnusableKey
from cludale.services import NAMES
from cludale.wiring.settings import Settings
from cludale_operations.cli import secrets_here as here
from cludale_operations.cli.client import Json
from cludale_operations.cli.screen import fail, say, table
from cludale_operations.release.azure import Az
from cludale_operations.release.azure_rotation import AzureRotation, VaultNames
from cludale_operations.release.driver import PlatformFailed
from cludale_operations.rotation import ALONE, FOLLOWING, KEPT_FOR_BUYERS, PAIRED, NotRotated, Stage
from cludale_operations.rotation import NAMES as SECRETS

app = typer.Typer(no_args_is_help=True, help="The platform's secrets: how they stand, and new ones.")

_HERE = "Without it: the platform on this machine, over CLUDALE_DATA_DIR."
Group = Annotated[str | None, typer.Option("--resource-group", help=f"The resource group in Azure. {_HERE}")]
Vault = Annotated[
    str | None, typer.Option("--vault", help="The vault's name: output keyVaultName of the deployment in Azure.")
]
Subscription = Annotated[str | None, typer.Option("--subscription", help="The subscription, if not the usual one.")]
Program = Annotated[str, typer.Option("--az", envvar="CLUDALE_AZ", help="The program az.")]

_STANDS = {
    Stage.SETTLED: "one is good",
    Stage.NEXT: "a new one is good, too, and not used yet",
    Stage.FORMER: "a new one is used, the former one is good, too",
}


@app.command()
def show(
    *,
    resource_group: Group = None,
    vault: Vault = None,
    subscription: Subscription = None,
    az: Program = "az",
    json: Json = False,
) -> None:
    """Show how each secret stands, and never the secret."""
    with _errors_in_a_line():
        names = _vault(resource_group, vault, subscription)
        pair = here.pairs().pair if names is None else rotation_of(az, names).pair
        known = PAIRED if names is None else SECRETS
        rows = [{"secret": name, "stands": _STANDS[pair(name).stage]} for name in known]
        if names is None:
            settings = Settings.from_env(os.environ)
            rows.append({"secret": here.TICKET_KEYS, "stands": here.ticket_keys_stand(settings)})
    table(rows, columns=("secret", "stands"), as_json=json)


@app.command()
def services(*, json: Json = False) -> None:
    """Make a key for each service, by which it calls the others and knows them: its CLUDALE_SERVICE_KEY.

    They belong together. `cludale up` makes and changes them by itself; this is for services that you start yourself.
    """
    from cludale.adapters.system.keys import new_key
    from cludale.web.service_keys import keys_from

    rows = [{"service": service, "key": key} for service, key in keys_from(new_key(), NAMES).items()]
    table(rows, columns=("service", "key"), as_json=json)


@app.command()
def rotate(
    secrets: Annotated[
        list[str],
        typer.Argument(help=f"Which: {', '.join(here.NAMES)}; in Azure one of {', '.join(SECRETS)}."),
    ],
    *,
    resource_group: Group = None,
    vault: Vault = None,
    finish: Annotated[
        bool,
        typer.Option(
            "--finish",
            help=f"End the former {KEPT_FOR_BUYERS}, privacy-key or key-hash as well: tokens that buyers had before "
            "are void then, addresses that are under it yet can't be read, keys that nobody used since are void.",
        ),
    ] = False,
    algorithm: Annotated[
        str | None,
        typer.Option(
            help="What the new one is used with: for privacy-key aes-256-gcm or chacha20-poly1305, for key-hash sha256 "
            "or sha3-256. Without it, with what the present one is."
        ),
    ] = None,
    subscription: Subscription = None,
    az: Program = "az",
) -> None:
    """Make a new one, and bring it to every process in steps, each known to all before the next: no request fails.

    `service-key` is what services call each other with, `token-key` what buyers' access tokens follow from; its former
    one stays good until the same command with --finish. `key-hash` is what kept keys are hashed with: each is hashed
    anew when it is used; those that were not are void with --finish. `organizer-key` is the first key: the old one is
    void at once.
    `database` and `broker` are the passwords of those that `cludale up --distributed` runs; give each service two
    replicas there, or one is away while it is started again. What was cut off is gone on with by the same command.
    `ticket-keys` sign tickets: a new one signs, those on paper stay good. In Azure deploy no template meanwhile.
    """
    with _errors_in_a_line():
        names = _vault(resource_group, vault, subscription)
        if names is None:
            here.rotate(secrets, finish=finish, algorithm=algorithm)
            return
        if len(secrets) != 1:
            raise NotRotated("in Azure one secret is changed at a time")
        name = secrets[0]
        pair = rotation_of(az, names).rotate(name, finish=finish, algorithm=algorithm)
    if name == ALONE:
        say(f"{name} is a new one; {', '.join(FOLLOWING)} are as they were")
    else:
        say(f"{name}: {_STANDS[pair.stage]}")


def _vault(group: str | None, vault: str | None, subscription: str | None) -> VaultNames | None:
    if group is None and vault is None:
        return None
    if group is None or vault is None:
        raise NotRotated("of a platform in Azure both are needed, --resource-group and --vault")
    return VaultNames(group, vault, subscription)


def rotation_of(az: str, names: VaultNames) -> AzureRotation:
    """The rotation of the platform's secrets in this vault, by the program `az`."""
    return AzureRotation(Az(az), names, NAMES, report=say)


@contextmanager
def _errors_in_a_line() -> Iterator[None]:
    try:
        yield
    except (NotRotated, PlatformFailed, UnusableKey) as error:
        fail(str(error))
