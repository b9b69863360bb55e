"""Pictures of the page on which seats are chosen: a hall in a bow, of which the best seats are gone already."""

from math import cos, sin

import httpx
from tests.served import KEY
from tools.screens.camera import Camera
from tools.screens.desk import sign_in

ROWS = 14
BEST_GONE = 12


def hall() -> str:
    """A plan as CSV: an aisle in the middle, wheelchair places at the end of the last row."""
    lines = ["section,row,seat,x,y,category,flags"]
    for row in range(ROWS):
        seats, far = 18 + row, 220 + row * 22
        for seat in range(seats):
            turn = (seat - (seats - 1) / 2) * 0.05
            x, y = 500 + sin(turn) * far * 1.05 + (18 if seat >= seats // 2 else -18), cos(turn) * far
            special = {0: "wheelchair", 1: "wheelchair", 2: "companion"}.get(seat, "") if row == ROWS - 1 else ""
            flags = special or ("" if seat else "restricted view")
            lines.append(f"Stalls,{'ABCDEFGHIJKLMN'[row]},{seat + 1},{x:.1f},{y:.1f},Stalls,{flags}")
    return "\n".join(lines)


def seats(camera: Camera, http: httpx.Client) -> None:
    """The list and the map, on a wide screen and on a phone."""
    section = {"id": "stalls", "name": "Stalls", "zone": "Stalls", "price": {"amount": 4500, "currency": "EUR"}}
    body = {"id": "seated", "artist": "Nils Okafor Trio", "date": "2099-06-05T19:30:00+02:00", "seatPlan": hall()}
    organizer = {"authorization": f"Bearer {KEY}"}
    http.post("/concerts", json={**body, "sections": [section]}, headers=organizer).raise_for_status()
    for n in range(BEST_GONE):
        order = {"concertId": "seated", "userId": f"e{n}", "section": "stalls", "quantity": 3, "email": "e@example.com"}
        http.post("/orders", json=order, headers={"idempotency-key": f"seated-{n}"}).raise_for_status()
    for name, phone in (("shop-seats", False), ("phone-seats-de", True)):
        page = camera.visitor(phone=phone, dark=phone, language="de" if phone else "en").new_page()
        page.goto("/shop/concerts/seated/choose?section=stalls")
        page.wait_for_selector("#map use[href='#map-taken']")
        for at in (129, 130):
            page.locator("#map use").nth(at).click()
        # The bar at the end of the window is then where it is on the page.
        page.set_viewport_size({"width": 390 if phone else 1200, "height": 2400 if phone else 1900})
        camera.take(page, name)


def seats_at_the_desk(camera: Camera, http: httpx.Client) -> None:
    """The plan and its faults, seats at the box office, and an order that is moved, and its address for an invoice."""
    found = http.get("/orders?concertId=seated&limit=1", headers={"authorization": f"Bearer {KEY}"})
    order = found.raise_for_status().json()["items"][0]["id"]
    page = camera.visitor().new_page()
    sign_in(page)
    page.goto("/staff/concerts/seated/seat-plan")
    camera.take(page, "desk-seat-plan")
    page.goto("/staff/new-seat-plan")
    page.fill("#text", hall().replace("Stalls,A,2,", "Stalls,A,1,"))
    page.click("text=Look at it first")
    page.wait_for_selector("#refusal")
    camera.take(page, "desk-seat-plan-faults")
    page.goto("/staff/concerts/seated/box-office")
    camera.take(page, "desk-box-office-seats")
    page.goto(f"/staff/orders/{order}/move")
    page.fill("#to", "Z 99")
    page.fill("#reason", "The camera stands there")
    page.click("main form button")
    page.wait_for_selector("[role=alert]")
    camera.take(page, "desk-order-move-wrong")
    page.goto(f"/staff/orders/{order}/billing")
    camera.take(page, "desk-order-billing")
