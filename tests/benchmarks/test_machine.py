"""What a result says of where it comes from."""

import pytest
from benchmarks.machine import provenance


def test_a_result_names_settings_but_no_key_and_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUDALE_HOLD_SECONDS", "60")
    monkeypatch.setenv("CLUDALE_ORGANIZER_KEY", "secret")
    monkeypatch.setenv("CLUDALE_CACHE", "/home/somebody/cache")

    settings = provenance("benchmarks", ["--runs", "1"])["settings"]

    assert settings["CLUDALE_HOLD_SECONDS"] == "60"
    assert not {"CLUDALE_ORGANIZER_KEY", "CLUDALE_CACHE"} & settings.keys()
