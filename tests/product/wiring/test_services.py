"""The services as their manifests say: described without being started, and built the same."""

from pathlib import Path

import pytest
from tests.product.wiring.platforms import ELSEWHERE, running

from cludale.services import NAMES
from cludale.services.catalogue import HEARS, SERVICES
from cludale.services.manifest import Service
from cludale.wiring.services import described


def ways(service: Service) -> set[tuple[str, str]]:
    return {(route.method, route.path) for route in service.routes}


def test_services_are_described_without_a_folder_a_store_or_a_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert [each.name for each in described()] == list(NAMES)
    assert all(each.running.handle is None for each in described())
    assert list(tmp_path.iterdir()) == []


async def test_what_is_described_is_what_is_served(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        assert {each.name: ways(each) for each in platform.services} == {each.name: ways(each) for each in described()}


@pytest.mark.parametrize("service", NAMES)
async def test_a_service_is_built_alone_as_its_manifest_says(tmp_path: Path, service: str) -> None:
    async with running(tmp_path, [service], **ELSEWHERE) as platform:
        (built,) = platform.services
        assert built.manifest is SERVICES[NAMES.index(service)]
        assert built.prefixes == [f"/{service}"]
        assert (built.running.handle is not None) == bool(HEARS[service])
