"""The files that list the services are what the manifests say."""

from tools.infra import files


def test_files_that_list_the_services_are_what_the_manifests_say() -> None:
    stale = [str(path) for path, text in files.made().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "stale: run `make infra`"
