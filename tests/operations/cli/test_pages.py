"""`cludale pages`: the pages by themselves, over the API of services that run elsewhere."""

import os
from pathlib import Path

import pytest
from tests.patience import eventually
from tests.product.pages.staffed import Staff
from tests.served import KEY, pages_of, serve

from cludale_operations.cli.pages import YIELDS

pytestmark = pytest.mark.slow


def test_on_one_machine_selling_goes_before_pages(tmp_path: Path) -> None:
    with serve(tmp_path / "services") as services, pages_of(tmp_path / "pages", services.url) as pages:
        sells, shows = (os.getpriority(os.PRIO_PROCESS, each.process.pid) for each in (services, pages))
        assert shows == sells + YIELDS


def test_the_console_of_pages_that_run_apart_starts_a_rehearsal_and_ends_it(tmp_path: Path) -> None:
    at = "/staff/console/rehearsal"
    with serve(tmp_path / "services") as services, pages_of(tmp_path / "pages", services.url) as pages:
        operator = Staff(pages.url)
        assert operator.send("/staff/sign-in", "/staff/sign-in", key=KEY).status_code == 303
        assert operator.send(at, at, seats="10", buyers="20").status_code == 303
        page = operator.get(at).text
        assert ("20 buyers for 10 seats" in page, "End the rehearsal" in page) == (True, True)
        assert operator.send(at, f"{at}/end").status_code == 303
        assert eventually(lambda: "It was ended." in operator.get(at).text)
        assert "Start the rehearsal" in operator.get(at).text
        operator.http.close()
