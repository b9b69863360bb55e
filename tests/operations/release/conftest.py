"""What the services' manifests say."""

import warnings

import pytest

from cludale_operations.gateway.site import Site, surveyed


@pytest.fixture(scope="session")
def site() -> Site:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the framework's, of its next version
        return surveyed()
