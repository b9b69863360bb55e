"""What the table in docs/evidence/security.md names and no other test shows."""

import ast
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.served import KEY, Served

from cludale.web.access import Access
from cludale.web.http1 import Reader
from cludale.wiring.settings import Settings

PROJECT = Path(__file__).resolve().parents[3]
SOURCES = [file for name in ("cludale", "cludale_operations") for file in (PROJECT / "src" / name).rglob("*.py")]
THREATS = (PROJECT / "SECURITY.md").read_text()
DOCUMENTS = THREATS + "".join(file.read_text() for file in (PROJECT / "docs").rglob("*.md"))


@cache
def trees() -> list[tuple[str, ast.Module]]:
    """The sources, each with its path."""
    return [(file.relative_to(PROJECT / "src").as_posix(), ast.parse(file.read_text())) for file in SOURCES]


@cache
def nodes() -> tuple[list[tuple[str, str, ast.Call]], set[tuple[str, str]]]:
    """Every call in the sources, with the name that is called, and every package that is imported."""
    calls, imports = [], set()
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                calls.append((file, called(node), node))
            elif isinstance(node, ast.Import):
                imports |= {(each.name.split(".")[0], file) for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                imports.add(((node.module or "").split(".")[0], file))
    return calls, imports


def called(call: ast.Call) -> str:
    """`name`, `owner.name`, or `.name` of whatever else."""
    match call.func:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{owner}.{name}"
        case ast.Attribute(attr=name):
            return f".{name}"
    return ""


def calls() -> list[tuple[str, str, ast.Call]]:
    return nodes()[0]


def imports() -> set[tuple[str, str]]:
    return nodes()[1]


def answers(served: Served) -> Iterator[Any]:
    """What each page and each collection of the API gives."""
    description = served.http.get("/openapi.json").json()
    for path, operations in description["paths"].items():
        if "get" in operations:
            yield served.http.get(re.sub(r"\{\w+\}", "the-concert", path), headers=served.organizer)
    for page in ("/", "/docs", "/problems/not-found", "/openapi.json", "/metrics"):
        yield served.http.get(page)


def test_no_value_is_put_into_a_statement(served: Served) -> None:
    for odd in ("' OR 1=1 --", '"; DROP TABLE records; --', "%' UNION SELECT 1 --", "$1", "\\'"):
        for parameter in ("artist", "venue", "q"):
            found = served.http.get("/concerts", params={parameter: odd})
            assert found.status_code in {200, 422}
            assert found.status_code == 422 or found.json()["items"] == []
        listed = served.http.get("/orders", params={"userId": odd}, headers=served.organizer)
        assert listed.status_code == 422 or listed.json()["items"] == []
    assert served.http.get("/concerts").json()["items"], "all is there still"


@pytest.mark.slow
def test_no_shell_reads_what_others_wrote() -> None:
    shells = {"os.system", "os.popen", "subprocess.getoutput", "asyncio.create_subprocess_shell"}
    assert not [(file, name) for file, name, _ in calls() if name in shells]
    assert not [file for file, _, call in calls() for each in call.keywords if each.arg == "shell"]


def test_no_pattern_is_made_of_what_was_sent() -> None:
    """A pattern is made where a module is loaded; those that functions make are of types and settings."""
    makers = {
        file
        for file, tree in trees()
        if file.startswith(("cludale/services", "cludale/web", "cludale/kernel"))
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and called(node).startswith("re.")
        if called(node) != "re.escape" and not isinstance(node.args[0], ast.Constant)
    }
    assert not makers


def test_nothing_that_was_sent_is_run() -> None:
    runs = re.compile(r"(eval|exec|compile|__import__|(pickle|marshal|shelve|yaml)\.\w+)")
    assert not [(file, name) for file, name, _ in calls() if runs.fullmatch(name)]
    assert not {name for name, _ in imports()} & {"pickle", "marshal", "shelve", "xml", "lxml"}
    formats = [(file, call) for file, name, call in calls() if name.endswith(".format_map")]
    assert not formats


def test_no_address_comes_from_a_request_but_a_webhooks(served: Served) -> None:
    description = served.http.get("/openapi.json").json()
    fields = {name for schema in description["components"]["schemas"].values() for name in schema.get("properties", {})}
    fields |= {
        each["name"]
        for operations in description["paths"].values()
        for operation in operations.values()
        for each in operation.get("parameters", ())
    }
    named = [name for name in fields if re.search(r"(?i)(url|uri|host|callback|webhook|redirect)$", name)]
    assert named == ["url"], "but for a webhook's, which tests/product/adapters/webhook_posts/test_addresses.py guards"
    assert "url" in description["components"]["schemas"]["CreateWebhook"]["properties"]


def test_no_other_origin_is_let_in_and_no_response_sets_a_cookie_or_redirects(served: Served) -> None:
    for answer in answers(served):
        assert "set-cookie" not in answer.headers
        assert not answer.is_redirect, answer.url
    foreign = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for method, path in (("OPTIONS", "/orders"), ("GET", "/concerts"), ("POST", "/orders")):
        told = served.http.request(method, path, headers=foreign).headers
        assert not [name for name in told if name.startswith("access-control-")]
    for path in ("//evil.example", "/%2f%2fevil.example", "/\\evil.example"):
        assert not served.http.get(path).is_redirect


def test_what_is_safe_to_ask_changes_nothing(served: Served) -> None:
    def published() -> list[str]:
        return re.findall(r"^cludale_events_published_total\S* (\S+)$", served.http.get("/metrics").text, re.MULTILINE)

    before = published()
    description = served.http.get("/openapi.json").json()
    assert not [path for path, each in description["paths"].items() if "requestBody" in each.get("get", {})]
    assert len(list(answers(served))) > 15
    assert published() == before


def test_text_says_its_charset_and_json_what_it_is_and_that_nobody_keeps_it(served: Served) -> None:
    for answer in answers(served):
        kind = answer.headers["content-type"]
        assert kind.startswith(("application/", "image/")) or "charset=utf-8" in kind, answer.url
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], answer.url
        if kind in {"application/json", "application/problem+json"}:
            wanted = "no-cache" if answer.url.path == "/openapi.json" else "no-store"
            assert answer.headers["cache-control"] in {wanted, "max-age=60"}, answer.url


def test_what_is_somebodys_is_not_to_be_kept(served: Served) -> None:
    placed = served.http.post("/orders", json={"concertId": "the-concert", "userId": "me", "quantity": 1})
    assert placed.status_code == 201, placed.text
    order = placed.json()
    seen = served.http.get(f"/orders/{order['id']}", headers={"authorization": f"Bearer {order['accessToken']}"})
    for answer in (placed, seen):
        assert answer.headers["cache-control"] == "no-store"


def test_trace_is_not_answered(served: Served) -> None:
    assert served.http.request("TRACE", "/concerts").status_code in {405, 501}


def test_no_credential_is_read_from_a_url(served: Served) -> None:
    for name in ("access_token", "key", "token", "authorization"):
        assert served.http.get("/orders", params={name: KEY}).status_code in {401, 422}


def test_pages_keep_nothing_in_the_browser(served: Served) -> None:
    for page in ("/", "/docs"):
        assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie", served.http.get(page).text)


def test_a_token_is_an_hmac_with_sha_256() -> None:
    wanted = urlsafe_b64encode(hmac.digest(b"key", b"order-1", "sha256")).rstrip(b"=").decode()
    assert Access(organizer_key="first", token_key="key").token_for("order-1") == wanted


def test_every_secret_and_every_setting_that_names_a_server_has_its_way_in_the_documents() -> None:
    fields = [*Settings().absent_secrets(), *(each for each in Settings.__struct_fields__ if _names_a_server(each))]
    variables = {f"CLUDALE_{each.upper()}" for each in fields}
    unsaid = {
        each
        for each in variables
        if each not in DOCUMENTS
        and each.removeprefix("CLUDALE_") not in DOCUMENTS
        and each.removeprefix("CLUDALE_").lower().replace("_", "-") not in DOCUMENTS
    }
    assert not unsaid


def _names_a_server(field: str) -> bool:
    return field.endswith(("_url", "_host", "_endpoint"))


def test_every_use_of_cryptography_is_in_the_inventory() -> None:
    known = {"hashlib", "hmac", "secrets", "ssl", "pyrage", "cryptography", "random"}
    used = {name for name, _ in imports()} & known - {"random"}
    for name in used:
        assert f"`{name}`" in THREATS, name
    text = "".join(file.read_text() for file in SOURCES)
    hashes = set(re.findall(r"hashlib\.(\w+)\(|from hashlib import (\w+)", text))
    names = {each for pair in hashes for each in pair if each} | set(re.findall(r'digestmod="(\w+)"', text))
    for name in names:
        assert f"`{name}`" in THREATS, name
    assert not names & {"md5", "new"}
    # The format of Apple's passes wants it.
    assert [ast.unparse(call) for _, name, call in calls() if "sha1" in name] == [
        "hashlib.sha1(body, usedforsecurity=False)"
    ]


def test_secrets_come_from_the_systems_generator() -> None:
    by_chance = {file for name, file in imports() if name == "random"}
    assert by_chance <= {
        "cludale/adapters/dapr/state/store.py",  # spreads retries
        "cludale/adapters/postgres/writer.py",  # as above
        "cludale/adapters/system/clock.py",
        "cludale_operations/local/free_ports.py",
        "cludale_operations/local/watched.py",
    }
    assert "random.random" in (PROJECT / "src/cludale/adapters/system/clock.py").read_text()


def test_calls_follow_no_redirect() -> None:
    answer = Reader().feed(b"HTTP/1.1 302 Found\r\nlocation: https://evil.example\r\ncontent-length: 0\r\n\r\n")
    assert answer is not None
    assert answer.status == 302, "whoever called gets it as it came"
    for _, _, call in calls():
        for each in call.keywords:
            assert each.arg != "follow_redirects" or (isinstance(each.value, ast.Constant) and not each.value.value)


@pytest.mark.parametrize("word", ["e-mail", "phone", "days", "What is left"])
def test_the_threat_model_says_what_is_personal_and_by_when_a_hole_is_mended(word: str) -> None:
    assert word in THREATS


def test_each_class_of_data_has_its_rules() -> None:
    table = THREATS.partition("## Classes of data")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:2] == "| "]
    assert [row[0] for row in rows[2:]] == ["secret", "personal", "pseudonymous", "business", "public"]
    assert all(cell for row in rows for cell in row)


def test_each_part_that_logs_is_in_the_inventory() -> None:
    text = (PROJECT / "docs/run/telemetry.md").read_text().partition("## What is logged")[2].partition("\n## ")[0]
    named = re.findall(r"`(cludale\w*(?:\.\w+)*|\.\w+)`", text)
    told = [each if each[0] != "." else f"cludale.services{each}" for each in named]
    for package in ("cludale", "cludale_operations"):
        for file in sorted((PROJECT / "src" / package).rglob("*.py")):
            if "getLogger(" in file.read_text():
                logger = ".".join(file.relative_to(PROJECT / "src").with_suffix("").parts).removesuffix(".__init__")
                assert any(f"{logger}.".startswith(f"{each}.") for each in told), logger
