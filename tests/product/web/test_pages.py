"""The pages for people and for watchers, all served from here."""

import re

import pytest
from tests.served import Served


@pytest.mark.parametrize("path", ["/", "/docs", "/problems", "/problems/seats-unavailable"])
def test_pages_need_nothing_from_elsewhere(served: Served, path: str) -> None:
    page = served.http.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"""(src|href|url)\s*[=(:]\s*["']?(https?:)?//""", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_every_link_and_asset_of_the_pages_is_there(served: Served) -> None:
    for path in ("/", "/docs", "/problems"):
        for target in re.findall(r'(?:src|href)="([^"]+)"', served.http.get(path).text):
            assert served.http.get(target).status_code == 200, target


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/docs/start.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/favicon-32x32.png", "image/png"),
        ("/openapi.json", "application/json"),
        ("/problems/none", "application/problem+json"),
    ],
)
def test_what_a_page_is_made_of_is_said_once(served: Served, path: str, media_type: str) -> None:
    answer = served.http.get(path)
    assert answer.headers.get_list("content-type") == [media_type]


@pytest.mark.parametrize(
    ("path", "caching"),
    [
        ("/", "no-cache"),
        ("/docs", "no-cache"),
        ("/docs/start.js", "no-cache"),
        ("/docs/swagger-ui.css", "max-age=86400"),
        ("/openapi.json", "no-cache"),
        ("/problems", "no-cache"),
    ],
)
def test_a_page_that_the_browser_has_is_not_sent_again(served: Served, path: str, caching: str) -> None:
    whole = served.http.get(path)
    tag = whole.headers["etag"]
    assert whole.headers["cache-control"] == caching
    for method in ("GET", "HEAD"):
        for known in (tag, f"W/{tag}", f'"another", {tag}', "*"):
            again = served.http.request(method, path, headers={"if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert (again.headers["etag"], again.headers["cache-control"]) == (tag, caching)
            assert not {"content-length", "content-type"} & again.headers.keys()
    assert served.http.get(path, headers={"if-none-match": '"another"'}).content == whole.content


def test_what_is_no_page_is_always_sent(served: Served) -> None:
    for path, status in (("/concerts/the-concert", 200), ("/problems/none", 404)):
        assert served.http.get(path, headers={"if-none-match": "*"}).status_code == status


def test_no_other_file_is_served_as_an_asset(served: Served) -> None:
    for name in ("index.html", "..%2f__init__.py", "swagger-ui.js"):
        assert served.http.get(f"/docs/{name}").status_code == 404


def test_every_problem_that_is_answered_has_a_page(served: Served) -> None:
    answer = served.http.post("/orders", json={"concertId": "sold-out", "userId": "me", "quantity": 1})
    assert answer.status_code == 409
    page = served.http.get(answer.json()["type"])
    assert "Not enough seats" in page.text


def test_names_in_a_problem_are_those_of_the_answer_and_are_set_apart(served: Served) -> None:
    assert "<code>troubles</code> says what" in served.http.get("/problems/not-ready").text
    everything = re.sub(r"<style>.*?</style>", "", served.http.get("/problems").text)
    assert "`" not in everything
    assert not re.search(r"<code>\w*_\w*</code>", everything), "on the wire names are written otherwise"


def test_an_unknown_problem_is_not_found(served: Served) -> None:
    assert served.http.get("/problems/none").status_code == 404


def test_the_server_says_that_it_lives_and_is_ready(served: Served) -> None:
    assert served.http.get("/livez").json() == {"status": "ok"}
    assert served.http.get("/readyz").json() == {"status": "ready"}
    assert served.http.get("/readyz/replica").json() == {"status": "ready"}


def test_metrics_count_requests_by_route(served: Served) -> None:
    served.http.get("/livez")
    served.http.get("/concerts")
    text = served.http.get("/metrics").text
    assert 'cludale_http_requests_total{method="GET",route="/livez",status="200"}' in text
    assert 'cludale_http_requests_total{method="GET",route="/concerts",status="200"}' in text
    assert 'cludale_http_request_seconds_bucket{le="+Inf",method="GET",route="/livez"}' in text
    assert 'cludale_queue_depth{service="orders"}' in text
    assert "process_resident_memory_bytes" in text
    assert "cludale_ready 1.0" in text
    assert 'cludale_part_ready{part="store"} 1.0' in text
