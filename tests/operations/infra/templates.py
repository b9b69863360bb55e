"""The project's own templates, computed for each environment."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tools.infra.bicep.evaluate import Deployment, deployment, with_parameters

INFRA = Path("infra")
ENVIRONMENTS = ("dev", "staging", "prod")
IMAGE = "registry.azurecr.io/cludale@sha256:" + "0" * 64

RUNNING: Mapping[str, Any] = {
    "image": IMAGE,
    "revisionSuffix": "new",
    "blueSuffix": "old",
    "greenSuffix": "new",
    "operatorPrincipalId": "11111111-1111-1111-1111-111111111111",
    "smtpHost": "mail.example.com",
    "smtpUser": "tickets",
    "stateStoreServices": ["audit", "concerts"],
    "budgetStart": "2026-12-01",
}
"""A platform in the midst of a release, with all that can be switched on."""


@cache
def running(environment: str) -> Deployment:
    """What is there when everything runs."""
    return with_parameters(INFRA / "parameters" / f"{environment}.bicepparam", RUNNING)


@cache
def deployed(environment: str) -> Deployment:
    """What is there once the apps are, before any release."""
    return with_parameters(INFRA / "parameters" / f"{environment}.bicepparam", {"image": IMAGE, "revisionSuffix": "c0"})


@cache
def empty(environment: str) -> Deployment:
    """What the first deployment makes, before there is an image."""
    return with_parameters(INFRA / "parameters" / f"{environment}.bicepparam", {})


@cache
def behind_front_door() -> Deployment:
    """Production with a domain of its own, and a second region."""
    more = {"frontDoor": True, "domain": "tickets.example.com", "secondaryLocation": "northeurope"}
    return with_parameters(INFRA / "parameters/prod.bicepparam", {**RUNNING, **more})


@cache
def locks() -> Deployment:
    """What an Owner puts on what can't be made again."""
    names = ("cosmosName", "keyVaultName", "serviceBusName", "registryName", "auditArchiveName")
    return deployment(INFRA / "locks.bicep", {name: name.removesuffix("Name") for name in names})


@cache
def restored(environment: str) -> Deployment:
    """What is given to a restored store, beside the one in use."""
    private = {"privateNetwork": True} if environment == "prod" else {}
    return deployment(INFRA / "restored.bicep", {"environmentName": environment, "accountName": "restored", **private})
