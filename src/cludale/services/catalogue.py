"""The services' manifests, and what follows from them: every event, who hears what, the kinds of records."""

from collections.abc import Mapping, Sequence
from importlib import import_module

from cludale.kernel.events import Catalogue
from cludale.ports.records import Kind
from cludale.runtime import dead_letters
from cludale.runtime.replay import Replay
from cludale.services import NAMES
from cludale.services.manifest import Manifest

SERVICES: tuple[Manifest, ...] = tuple(import_module(f"cludale.services.{name}.manifest").MANIFEST for name in NAMES)

CATALOGUE = Catalogue(each.topic for each in SERVICES if each.topic is not None)
"""Every event of the platform."""

HEARS: Mapping[str, frozenset[str]] = {
    service.name: frozenset(
        name for name, event in CATALOGUE.types.items() if issubclass(event, tuple(service.handlers))
    )
    for service in SERVICES
}
"""Service → the types of the events that it hears."""

KINDS: tuple[Kind, ...] = (*(kind for each in SERVICES for kind in each.kinds), *dead_letters.KINDS)
"""Every kind of record."""

REPLAYS: Sequence[Replay] = [each.replay for each in SERVICES if each.replay is not None]
"""How the services that keep state are rebuilt from the log."""
