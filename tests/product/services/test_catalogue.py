"""The catalogue lists every event of the platform, and everybody hears only what is in it."""

import importlib
import pkgutil
from types import ModuleType

import msgspec
import pytest

import cludale.services
from cludale.kernel.events import Event
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS, KINDS, SERVICES

PERSONAL = ("email", "phone", "name", "address", "contact")


def modules(name: str) -> list[ModuleType]:
    """The module called `name` of each service that has one."""
    services = [each.name for each in pkgutil.iter_modules(cludale.services.__path__) if each.ispkg]
    found = []
    for service in services:
        package = importlib.import_module(f"cludale.services.{service}")
        if name in [each.name for each in pkgutil.iter_modules(package.__path__)]:
            found.append(importlib.import_module(f"cludale.services.{service}.{name}"))
    return found


def events() -> list[type[Event]]:
    """Every event that some service defines; what others derive from is none itself."""
    return [
        each
        for module in modules("events")
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Event) and each.__module__ == module.__name__
        if not each.__subclasses__()
    ]


def test_every_event_of_every_service_is_in_the_catalogue() -> None:
    assert {each.__name__ for each in events()} == set(CATALOGUE.types)


def test_every_service_has_one_topic_named_after_what_it_publishes() -> None:
    assert {topic.source for topic in CATALOGUE.topics} <= set(NAMES)
    assert all(topic.name == f"{topic.source.removesuffix('s')}-events" for topic in CATALOGUE.topics)
    for topic in CATALOGUE.topics:
        assert all(f".{topic.source}." in event.__module__ for event in topic.events)


@pytest.mark.parametrize("event", events(), ids=lambda event: event.__name__)
def test_an_event_says_what_it_is_about_and_nothing_of_the_person(event: type[Event]) -> None:
    fields = [field.name for field in msgspec.structs.fields(event)]
    assert hasattr(event, event.subject_field)
    assert not [field for field in fields if field in PERSONAL]


@pytest.mark.parametrize("name", ["SeatsReserved", "SeatsReleased", "TicketReserved", "OrderCancelled"])
def test_the_names_that_others_rely_on_are_there(name: str) -> None:
    assert name in CATALOGUE.types


def test_every_folder_has_a_manifest_in_the_list() -> None:
    assert {each.MANIFEST for each in modules("manifest")} == set(SERVICES)
    assert all(each.MANIFEST.name == each.__name__.split(".")[2] for each in modules("manifest"))


def test_whoever_hears_something_hears_what_there_is() -> None:
    for service in SERVICES:
        assert {event for event in service.handlers if event is not Event} <= set(CATALOGUE.types.values())


def test_every_event_is_heard_by_audit() -> None:
    assert set(CATALOGUE.types) == HEARS["audit"]


def test_who_is_called_in_the_same_process_is_built_before() -> None:
    for at, service in enumerate(SERVICES):
        assert set(service.needs) <= set(NAMES[:at]), service.name


def test_no_two_kinds_of_record_share_a_name() -> None:
    names = [(kind.service, kind.name) for kind in KINDS]
    assert len(names) == len(set(names))
    assert {kind.service for each in SERVICES for kind in each.kinds} <= set(NAMES)
