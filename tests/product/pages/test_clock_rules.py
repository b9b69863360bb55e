"""A concert that was put on before the clocks of its zone got other rules: its organizer sees it, and mends it."""

from importlib.resources import files
from pathlib import Path

from tests.product.pages.staffed import Staff
from tests.served import KEY, serve

AT = "/staff/concerts/coast"
WRITTEN, MENDED = "2027-01-15T19:30:00-08:00", "2027-01-15T19:30:00-07:00"


def before_the_change(folder: Path) -> str:
    """Zones in which Vancouver's clocks go as they did until 2026: as Los Angeles's do."""
    (folder / "America").mkdir(parents=True)
    zone = files("tzdata") / "zoneinfo" / "America" / "Los_Angeles"
    (folder / "America" / "Vancouver").write_bytes(zone.read_bytes())
    return str(folder)


def test_an_organizer_is_told_that_the_clock_rules_have_changed_and_keeps_the_time_on_the_clocks(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with serve(data, settings={"PYTHONTZPATH": before_the_change(tmp_path / "zones")}) as shop:
        made = shop.concert("coast", date="2027-01-15T19:30", doorsAt="2027-01-15T18:30", zone="America/Vancouver")
        assert made["date"] == WRITTEN
        staff = Staff(shop.url)
        staff.send("/staff/sign-in", "/staff/sign-in", key=KEY)
        assert "clock rules" not in staff.get(AT).text
        staff.http.close()
    with serve(data) as shop:
        staff = Staff(shop.url)
        staff.send("/staff/sign-in", "/staff/sign-in", key=KEY)
        assert "Clock rules have changed" in staff.get("/staff").text
        page = staff.get(AT).text
        assert "The moment that is written as 19:30 is 20:30 there now" in page
        form = page[page.index('name="clocks"') - 400 :]
        assert "It begins at 19:30 on the clocks there" in form
        sent = staff.again(f"{AT}/change", page[: page.index("</form>", page.index('name="clocks"'))])
        assert sent.status_code == 303, sent.text
        now = shop.http.get("/concerts/coast").json()
        assert (now["date"], now["doorsAt"]) == (MENDED, "2027-01-15T18:30:00-07:00")
        assert "clock rules" not in staff.get(AT).text
        staff.http.close()
