"""The pages about all services: the front page, the API's documentation, what a problem means. Nothing is sold here."""

from collections.abc import Sequence

from cludale import __version__
from cludale.services.manifest import Service
from cludale.web.app import WebApp
from cludale.web.problems import Problems
from cludale.wiring.services import described
from cludale_operations.gateway.problems import STATUS


class AmbiguousPaths(Exception):
    """Two services want the same paths, or one wants paths that don't begin with its name."""


class Site(WebApp):
    """The pages, and none of the services' routes."""

    def __init__(self, services: Sequence[Service]) -> None:
        super().__init__([], is_ready=lambda: True, gauges=dict, version=__version__)
        whole = WebApp(services, is_ready=lambda: True, gauges=dict, version=__version__)
        self.problems = Problems(*(service.manifest.statuses for service in services), STATUS)
        self.owners = owners(services)
        self._whole = whole
        self._services = {service.name: service.manifest.about for service in services}

    def openapi_document(self) -> bytes:
        """The document for all services together."""
        return self._whole.openapi_document()


def owners(services: Sequence[Service]) -> dict[str, str]:
    """The first segment of a path → the service whose it is. Raises AmbiguousPaths."""
    found: dict[str, str] = {}
    for service in services:
        for prefix in service.prefixes:
            segment = prefix.lstrip("/")
            if found.setdefault(segment, service.name) != service.name or segment != service.name:
                raise AmbiguousPaths(f"{prefix}: {found[segment]} and {service.name}")
    return found


def surveyed() -> Site:
    """What the manifests say."""
    return Site(described())
