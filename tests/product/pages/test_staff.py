"""Somebody who works here, at a browser: signing in and out, and what they may do meanwhile."""

import base64
import html
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.oidc_provider import CLIENT, SECRET, Provider, running_provider
from tests.product.wiring.organizers import FIRST_KEY, bearer
from tests.product.wiring.platforms import running
from tests.served_here import served_here

from cludale.pages.api import InProcess
from cludale.pages.building import Pages
from cludale.services.concerts import sessions
from cludale.web.app import WebApp

PUBLIC = "http://127.0.0.1:9"


@asynccontextmanager
async def site(folder: Path, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with running(folder, **changes) as platform:
        services = InProcess()
        pages = Pages(services, now=platform.clock.now)
        app = WebApp(
            platform.services, is_ready=lambda: True, gauges=platform.gauges, version="0", internal=pages.routes
        )
        services.find = app.router.find
        async with served_here(app) as browser:
            yield browser
        await pages.stop()


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with site(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(tmp_path_factory.mktemp("oidc"), f"{PUBLIC}/staff/sign-in/back") as made:
        yield made


def by_issuer(provider: Provider) -> dict[str, Any]:
    return {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_roles": "box-office=sell,read; acme=catalogue,read@acme; operators=operate,read",
        "public_url": PUBLIC,
    }


def csrf(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


async def send(browser: httpx.AsyncClient, at: str, to: str, **fields: str) -> httpx.Response:
    """The form at a page, filled in and sent."""
    return await browser.post(to, data={"csrf": csrf(await browser.get(at)), **fields})


async def sign_in(browser: httpx.AsyncClient, key: str = FIRST_KEY, **fields: str) -> httpx.Response:
    return await send(browser, "/staff/sign-in", "/staff/sign-in", key=key, **fields)


async def test_a_key_signs_in_and_signing_out_ends_it_at_once(browser: httpx.AsyncClient) -> None:
    away = await browser.get("/staff/keys")
    assert (away.status_code, away.headers["location"]) == (303, "/staff/sign-in?next=%2Fstaff%2Fkeys")
    entered = await sign_in(browser, next="/staff/keys")
    assert (entered.status_code, entered.headers["location"]) == (303, "/staff/keys")
    kept = next(each for each in entered.headers.get_list("set-cookie") if each.startswith("session="))
    assert "HttpOnly" in kept
    assert "SameSite=Lax" in kept
    assert (await browser.get("/staff/keys")).status_code == 200
    token = browser.cookies["session"]
    assert FIRST_KEY not in token
    assert (await browser.get("/orders", headers=bearer(token))).status_code == 200
    out = await send(browser, "/staff", "/staff/sign-out")
    assert out.headers["location"] == "/staff/sign-in"
    assert (await browser.get("/orders", headers=bearer(token))).status_code == 401
    assert (await browser.get("/staff")).status_code == 303


async def test_who_signs_in_again_has_one_session(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    before = browser.cookies["session"]
    await sign_in(browser)
    assert (await browser.get("/orders", headers=bearer(before))).status_code == 401
    assert (await browser.get("/staff")).status_code == 200


async def test_over_https_the_cookie_is_this_hosts_alone(browser: httpx.AsyncClient) -> None:
    browser.headers["x-forwarded-proto"] = "https"
    page = await browser.get("/staff/sign-in")
    (form,) = page.headers.get_list("set-cookie")
    assert form.startswith("__Host-form=")
    sent = {"csrf": csrf(page), "key": FIRST_KEY}
    entered = await browser.post("/staff/sign-in", data=sent, headers={"cookie": form.partition(";")[0]})
    kept = next(each for each in entered.headers.get_list("set-cookie") if "session=" in each)
    assert kept.startswith("__Host-session=session-")
    assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= {each.strip() for each in kept.split(";")}
    assert "Domain" not in kept


async def test_a_cookie_of_any_page_has_the_prefix_and_one_without_it_does_not_count(
    browser: httpx.AsyncClient,
) -> None:
    browser.headers["x-forwarded-proto"] = "https"
    seen = set()
    for path in ("/staff/sign-in", "/shop?lang=de"):
        for cookie in (await browser.get(path)).headers.get_list("set-cookie"):
            assert cookie.startswith("__Host-"), path
            assert {"Path=/", "Secure", "HttpOnly"} <= {each.strip() for each in cookie.split(";")}
            seen.add(cookie.partition("=")[0])
    assert seen == {"__Host-form", "__Host-language"}
    page = await browser.get("/staff/sign-in")
    sent = {"csrf": csrf(page), "key": FIRST_KEY}
    (form,) = page.headers.get_list("set-cookie")
    of_another = form.partition(";")[0].removeprefix("__Host-")
    assert (await browser.post("/staff/sign-in", data=sent, headers={"cookie": of_another})).status_code == 403


async def test_a_sign_in_and_its_end_are_in_the_log(
    browser: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "cludale.services.concerts.session_api"):
        await sign_in(browser)
        own = (await browser.get("/concerts/-/session", headers=bearer(browser.cookies["session"]))).json()
        page = await browser.get("/staff/sessions")
        await browser.post(f"/staff/sessions/{own['id']}/end", data={"csrf": csrf(page)})
    assert caplog.messages[0].startswith(f"signed in: {own['id']}, for ")
    assert caplog.messages[1].startswith("ended by ")
    assert caplog.messages[1].endswith(own["id"])
    assert FIRST_KEY not in caplog.text


async def test_nobody_signs_in_where_others_may_read_along(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/staff/sign-in")
    refused = await browser.post(
        "/staff/sign-in",
        data={"csrf": csrf(page), "key": FIRST_KEY},
        headers={"host": "tickets.example.com", "origin": "http://tickets.example.com"},
    )
    assert refused.status_code == 403
    assert "https" in refused.text
    assert not browser.cookies.get("session")


async def test_no_form_is_taken_that_another_site_sent(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    token = csrf(await browser.get("/staff"))
    for headers, fields in (
        ({}, {}),
        ({}, {"csrf": "0" * 40}),
        ({"sec-fetch-site": "cross-site"}, {"csrf": token}),
        ({"sec-fetch-site": "same-site"}, {"csrf": token}),
        ({"origin": "https://other.example"}, {"csrf": token}),
    ):
        for path in ("/staff/sign-out", "/staff/keys", "/staff/keys/x/revoke", "/staff/sessions/x/end", "/staff/door"):
            assert (await browser.post(path, data=fields, headers=headers)).status_code == 403, (path, headers)
    assert (await browser.get("/staff")).status_code == 200


async def test_the_api_takes_no_cookie(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    assert (await browser.get("/orders")).status_code == 401
    assert (await browser.post("/concerts/-/session/end")).status_code == 401


async def test_a_key_is_made_shown_once_and_revoked(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    made = await send(
        browser, "/staff/keys", "/staff/keys", name='box <b>"office"', organizer="acme", **{"scope-read": "1"}
    )
    found = re.search(r'class="secret">([^<]+)<', made.text)
    assert found is not None, made.text
    assert "<b>" not in made.text
    assert (await browser.get("/orders", headers=bearer(found[1]))).status_code == 200
    later = await browser.get("/staff/keys")
    assert found[1] not in later.text
    await browser.post(f"/staff/keys/{found[1].partition('.')[0]}/revoke", data={"csrf": csrf(later)})
    assert (await browser.get("/orders", headers=bearer(found[1]))).status_code == 401
    wrong = await send(browser, "/staff/keys", "/staff/keys", name="nothing")
    assert wrong.status_code == 422
    assert "scopes" in wrong.text


async def test_a_door_device_is_paired_once_for_one_concert(browser: httpx.AsyncClient) -> None:
    concert = {"id": "ours", "artist": "The Larks", "date": "2099-06-05", "totalSeats": 50}
    await browser.post("/concerts", json=concert, headers=bearer(FIRST_KEY))
    await sign_in(browser)
    page = await send(browser, "/staff/door", "/staff/door", name="north door", concert="ours")
    found = re.search(r'class="code">([^<]+)<', page.text)
    assert found is not None, page.text
    typed = found[1].replace("-", " ").lower()
    swapped = await browser.post("/concerts/-/door/keys", json={"code": typed})
    assert swapped.status_code == 201
    key = swapped.json()
    assert (key["scopes"], key["concertId"], key["name"]) == (["door"], "ours", "north door")
    assert (await browser.post("/concerts/-/door/keys", json={"code": typed})).status_code == 403
    assert (await browser.get("/orders", headers=bearer(key["key"]))).status_code == 403
    missing = await send(browser, "/staff/door", "/staff/door", name="x", concert="theirs")
    assert missing.status_code == 422


async def test_who_is_signed_in_sees_their_own_sessions_and_ends_the_others(
    browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = {"name": "till", "scopes": ["read"]}
    key = (await browser.post("/concerts/-/keys", json=ask, headers=bearer(FIRST_KEY))).json()
    strangers = (await browser.post("/concerts/-/sessions", json={"key": key["key"]})).json()["token"]
    elsewhere = (await browser.post("/concerts/-/sessions", json={"key": FIRST_KEY})).json()["token"]
    await sign_in(browser)
    own = (await browser.get("/concerts/-/session/all", headers=bearer(elsewhere))).json()["items"]
    assert [each["name"] for each in own] == ["the first key"] * 2
    assert "You are signed in elsewhere, too" in (await browser.get("/staff/session")).text
    monkeypatch.setattr(sessions, "JUST_SIGNED_IN", timedelta(0))
    late = await send(browser, "/staff/session", "/staff/session/end-others")
    assert late.status_code == 403
    assert "Sign out and in again first" in late.text
    assert (await browser.get("/orders", headers=bearer(elsewhere))).status_code == 200
    monkeypatch.undo()
    assert (await send(browser, "/staff/session", "/staff/session/end-others")).status_code == 303
    statuses = [
        (await browser.get("/orders", headers=bearer(token))).status_code
        for token in (elsewhere, strangers, browser.cookies["session"])
    ]
    assert statuses == [401, 200, 200]
    assert "elsewhere" not in (await browser.get("/staff/session")).text


async def test_somebody_elses_session_is_ended_and_a_revoked_keys_ends_with_it(browser: httpx.AsyncClient) -> None:
    ask = {"name": "till", "scopes": ["read"]}
    key = (await browser.post("/concerts/-/keys", json=ask, headers=bearer(FIRST_KEY))).json()
    began = await browser.post("/concerts/-/sessions", json={"key": key["key"]})
    other = await browser.post("/concerts/-/sessions", json={"key": key["key"]})
    await sign_in(browser)
    page = await browser.get("/staff/sessions")
    assert page.text.count("till") == 4  # twice each: its name, and what its button says
    await browser.post(f"/staff/sessions/{began.json()['id']}/end", data={"csrf": csrf(page)})
    tokens = [each.json()["token"] for each in (began, other)]
    assert [(await browser.get("/orders", headers=bearer(each))).status_code for each in tokens] == [401, 200]
    await browser.post(f"/concerts/-/keys/{key['id']}/revoke", headers=bearer(FIRST_KEY))
    assert (await browser.get("/orders", headers=bearer(tokens[1]))).status_code == 401


async def test_people_sign_in_by_the_issuer_and_may_what_their_roles_say(tmp_path: Path, provider: Provider) -> None:
    async with site(tmp_path, **by_issuer(provider)) as browser:
        page = await browser.get("/staff/sign-in?next=/staff/keys")
        assert "csrf" not in page.text
        refused = await browser.post("/concerts/-/sessions", json={"key": FIRST_KEY})
        assert refused.json()["type"].endswith("issuer-alone")
        for person, expected in (("fay", 303), ("cyd", 403), ("dot", 403), ("eve", 403), ("ben", 303)):
            browser.cookies.clear()
            gone = await browser.get("/staff/sign-in/go?next=/staff/keys")
            back = await provider.signed_in(gone.headers["location"], person)
            entered = await browser.get("/staff/sign-in/back", params=back)
            assert entered.status_code == expected, (person, entered.text)
            if expected == 303:
                assert entered.headers["location"] == "/staff/keys"
        own = await browser.get("/concerts/-/session", headers=bearer(browser.cookies["session"]))
        assert own.json()["organizer"] == "acme"
        assert own.json()["scopes"] == ["catalogue", "read"]
        again = await browser.get("/staff/sign-in/back", params=back)
        assert again.status_code == 403  # the cookie is gone, and the code used


async def test_who_has_signed_in_is_listed_with_their_roles_and_signed_out_everywhere(
    tmp_path: Path, provider: Provider
) -> None:
    async with site(tmp_path, **by_issuer(provider)) as browser:
        tokens = []
        for person in ("ada", "ada", "fay"):
            browser.cookies.clear()  # each in a browser of their own: one that has a session gives it up
            gone = await browser.get("/staff/sign-in/go")
            back = await provider.signed_in(gone.headers["location"], person)
            await browser.get("/staff/sign-in/back", params=back)
            tokens.append(browser.cookies["session"])
        listed = (await browser.get("/concerts/-/staff", headers=bearer(tokens[2]))).json()["items"]
        assert [(each["name"], each["roles"], each["sessions"]) for each in listed] == [
            ("Fay", ["operators"], 1),
            ("Ada Lark", ["box-office", "unheard-of"], 2),
        ]
        page = await browser.get("/staff/people", headers={"accept-language": "de"})
        assert 'lang="de"' in page.text
        assert "Zuletzt angemeldet" in page.text
        await browser.post(f"/staff/people/{listed[1]['id']}/end", data={"csrf": csrf(page)})
        statuses = [(await browser.get("/orders", headers=bearer(each))).status_code for each in tokens]
        assert statuses == [401, 401, 200]
        again = (await browser.get("/concerts/-/staff", headers=bearer(tokens[2]))).json()["items"]
        assert [each["sessions"] for each in again] == [1, 0]


async def test_who_signs_out_is_signed_out_by_the_issuer_too(tmp_path: Path, provider: Provider) -> None:
    async with site(tmp_path, **by_issuer(provider)) as browser, provider.browser() as at_issuer:
        gone = await browser.get("/staff/sign-in/go")
        await browser.get(
            "/staff/sign-in/back", params=await provider.signed_in(gone.headers["location"], "fay", at_issuer)
        )
        token = browser.cookies["session"]
        kept = await at_issuer.get((await browser.get("/staff/sign-in/go")).headers["location"])
        assert "code=" in kept.headers["location"]  # nobody is asked again who they are
        out = await send(browser, "/staff", "/staff/sign-out")
        assert not {"session", "sign-in-hint"} & set(browser.cookies)
        assert (await browser.get("/orders", headers=bearer(token))).status_code == 401
        there = out.headers["refresh"].removeprefix("0; url=")
        assert there.startswith(provider.issuer)
        assert html.escape(there) in out.text
        assert (await provider.signed_out(there, at_issuer)).startswith(f"{PUBLIC}/staff/sign-in")
        asked = await at_issuer.get((await browser.get("/staff/sign-in/go")).headers["location"])
        assert "code=" not in asked.headers["location"]


async def test_a_way_back_that_another_browser_began_signs_nobody_in(tmp_path: Path, provider: Provider) -> None:
    async with site(tmp_path, **by_issuer(provider)) as browser:
        gone = await browser.get("/staff/sign-in/go")
        back = await provider.signed_in(gone.headers["location"], "fay")
        for changed in ({"state": secrets.token_urlsafe(24)}, {"state": ""}, {"code": ""}):
            assert (await browser.get("/staff/sign-in/back", params={**back, **changed})).status_code == 403
        browser.cookies.clear()
        assert (await browser.get("/staff/sign-in/back", params=back)).status_code == 403


async def test_who_signed_in_too_weakly_is_told_what_is_wanted(tmp_path: Path, provider: Provider) -> None:
    async with site(tmp_path, **by_issuer(provider), oidc_amr="mfa") as browser:
        gone = await browser.get("/staff/sign-in/go")
        back = await provider.signed_in(gone.headers["location"], "fay")
        refused = await browser.get("/staff/sign-in/back", params=back)
        assert refused.status_code == 403
        assert "second factor" in refused.text
        assert "session" not in browser.cookies


async def test_another_sites_link_begins_no_session(tmp_path: Path, provider: Provider) -> None:
    async with site(tmp_path, **by_issuer(provider)) as browser:
        for came, status in (("cross-site", 200), ("same-site", 200), ("same-origin", 303), ("none", 303)):
            page = await browser.get("/staff/sign-in/go?next=/staff/keys", headers={"sec-fetch-site": came})
            assert page.status_code == status, came
            assert ("sign-in" in page.cookies) is (status == 303)
            if status == 200:
                assert 'href="/staff/sign-in/go?next=/staff/keys"' in page.text


async def test_whoever_is_signed_in_can_sign_out_on_every_page(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    concert = {"id": "ours", "artist": "The Larks", "date": "2099-06-05", "totalSeats": 50}
    await browser.post("/concerts", json=concert, headers=bearer(FIRST_KEY))
    seen = ["/staff"]
    for path in seen:
        page = await browser.get(path)
        if page.status_code == 200 and page.headers["content-type"].startswith("text/html"):
            assert 'action="/staff/sign-out"' in page.text, path
            found = re.findall(r'href="(/(?:staff|desk)[^"?#]*)', page.text)
            seen += [each for each in dict.fromkeys(found) if each not in seen and len(seen) < 25]
    assert len(seen) > 8
    assert [each for each in seen if each.startswith("/staff/concerts/")], seen


@pytest.mark.parametrize(
    "wanted",
    ["https://other.example", "//other.example", "/\\other.example", "/shop", "/staffing", "/staff/../x",
     "/staff//other.example", "/staff/%2e%2e/x", "/staff/%0d%0aset-cookie:x", "javascript:alert(1)", "/staff@x", ""],
)  # fmt: skip
async def test_signing_in_leads_nowhere_else(browser: httpx.AsyncClient, wanted: str) -> None:
    entered = await sign_in(browser, next=wanted)
    assert entered.headers["location"] == "/staff"


async def test_every_page_for_people_is_guarded(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    for path in ("/", "/docs", "/problems", "/problems/not-found", "/staff", "/staff/sign-in", "/shop", "/staff/keys"):
        said = (await browser.get(path)).headers
        policy = said["content-security-policy"]
        assert "unsafe" not in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert said["x-content-type-options"] == "nosniff", path
        assert said["referrer-policy"] == "no-referrer", path


async def entered(browser: httpx.AsyncClient, provider: Provider, person: str, at_issuer: httpx.AsyncClient) -> str:
    """The session of somebody who signs in."""
    browser.cookies.clear()
    gone = await browser.get("/staff/sign-in/go")
    back = await provider.signed_in(gone.headers["location"], person, at_issuer)
    await browser.get("/staff/sign-in/back", params=back)
    return browser.cookies["session"]


async def test_who_is_signed_out_at_the_issuer_is_signed_out_here(tmp_path: Path, provider: Provider) -> None:
    async with AsyncExitStack() as stack:
        browser = await stack.enter_async_context(site(tmp_path, **by_issuer(provider)))
        at_issuer = [await stack.enter_async_context(provider.browser()) for _ in range(3)]
        provider.rotate(
            backchannel_logout_uri=str(browser.base_url.join("/concerts/-/sign-out")),
            backchannel_logout_session_required=True,
        )
        tokens = [
            await entered(browser, provider, person, theirs)
            for person, theirs in zip(("ada", "ada", "fay"), at_issuer, strict=True)
        ]

        async def statuses() -> list[int]:
            return [(await browser.get("/orders", headers=bearer(each))).status_code for each in tokens]

        assert await statuses() == [200, 200, 200]
        asked = await at_issuer[0].get(f"{provider.issuer}/session/end", params={"client_id": CLIENT})
        await provider.signed_out(str(asked.url), at_issuer[0])
        assert await statuses() == [401, 200, 200]  # which session it was, the issuer said


async def test_nobody_else_signs_anybody_out(tmp_path: Path, provider: Provider) -> None:
    async with site(tmp_path, **by_issuer(provider)) as browser, provider.browser() as at_issuer:
        provider.rotate(backchannel_logout_uri=f"{PUBLIC}/nowhere", backchannel_logout_session_required=True)
        token = await entered(browser, provider, "fay", at_issuer)
        id_token = browser.cookies["sign-in-hint"]
        sid = json.loads(base64.urlsafe_b64decode(id_token.split(".")[1] + "=="))["sid"]
        for said in ({"logout_token": id_token}, {"logout_token": "a.b.c"}, {}, {"logout_token": ["x", "y"]}):
            refused = await browser.post("/concerts/-/sign-out", data=said)
            assert (refused.status_code, refused.headers["cache-control"]) == (400, "no-store")
        for iss, whose, status in (
            ("https://other.example", sid, 400),
            (provider.issuer, sid[:-1] + "~", 200),
            (provider.issuer, "short", 422),
        ):
            told = await browser.get("/concerts/-/sign-out", params={"iss": iss, "sid": whose})
            assert told.status_code == status
        assert (await browser.get("/orders", headers=bearer(token))).status_code == 200
        told = await browser.get("/concerts/-/sign-out", params={"iss": provider.issuer, "sid": sid})
        assert (told.status_code, told.headers["cache-control"]) == (200, "no-store")
        assert (await browser.get("/orders", headers=bearer(token))).status_code == 401
