"""`cludale secrets`: the platform's secrets in Azure, changed while it sells (docs/run/secrets.md).

Exit statuses: 0 done; 2 it could not be done, and how far it came is said. The same command goes on from there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from cludale.services import NAMES
from cludale_operations.cli.client import Json
from cludale_operations.cli.screen import fail, say, table
from cludale_operations.release.azure import Az
from cludale_operations.release.azure_rotation import AzureRotation, VaultNames
from cludale_operations.release.driver import PlatformFailed
from cludale_operations.rotation import ALONE, FOLLOWING, KEPT_FOR_BUYERS, NotRotated, Stage
from cludale_operations.rotation import NAMES as SECRETS

app = typer.Typer(no_args_is_help=True, help="The platform's secrets in Azure: how they stand, and a new one.")

Group = Annotated[str, typer.Option("--resource-group", help="The resource group.")]
Vault = Annotated[str, typer.Option("--vault", help="The vault's name: output keyVaultName of the deployment.")]
Subscription = Annotated[str | None, typer.Option("--subscription", help="The subscription, if not the usual one.")]
Program = Annotated[str, typer.Option("--az", envvar="CLUDALE_AZ", help="The program az.")]

_STANDS = {
    Stage.SETTLED: "one is good",
    Stage.NEXT: "a new one is good, too, and not used yet",
    Stage.FORMER: "a new one is used, the former one is good, too",
}


@app.command()
def show(
    *, resource_group: Group, vault: Vault, subscription: Subscription = None, az: Program = "az", json: Json = False
) -> None:
    """Show how each secret stands, and never the secret."""
    with _said():
        rotation = rotation_of(az, VaultNames(resource_group, vault, subscription))
        rows = [{"secret": name, "stands": _STANDS[rotation.pair(name).stage]} for name in SECRETS]
    table(rows, columns=("secret", "stands"), as_json=json)


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(help=f"Which: {', '.join(SECRETS)}.")],
    *,
    resource_group: Group,
    vault: Vault,
    finish: Annotated[
        bool,
        typer.Option(
            "--finish",
            help=f"End the former {KEPT_FOR_BUYERS} or privacy-key as well: tokens that buyers had before are void "
            "then, addresses that are under it yet can't be read.",
        ),
    ] = False,
    subscription: Subscription = None,
    az: Program = "az",
) -> None:
    """Make a new one, and bring it to every process in steps, each known to all before the next: no request fails.

    `service-key` is what services call each other with, `token-key` what buyers' access tokens follow from; its former
    one stays good until the same command with --finish. `organizer-key` is the first key: the old one is void at once.
    What was cut off is gone on with by the same command. Deploy no template meanwhile.
    """
    with _said():
        pair = rotation_of(az, VaultNames(resource_group, vault, subscription)).rotate(name, finish=finish)
    if name == ALONE:
        say(f"{name} is a new one; {', '.join(FOLLOWING)} are as they were")
    else:
        say(f"{name}: {_STANDS[pair.stage]}")


def rotation_of(az: str, names: VaultNames) -> AzureRotation:
    """Of the platform in that resource group, by this program."""
    return AzureRotation(Az(az), names, NAMES, report=say)


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (NotRotated, PlatformFailed) as error:
        fail(str(error))
