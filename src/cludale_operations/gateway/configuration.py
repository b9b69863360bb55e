"""HAProxy's configuration, made from the routes and the settings. No I/O.

Each service has four of HAProxy's backends: `orders`, where weights decide; `orders.alive`, the same for when nobody
is ready, of those that are up and say what does not work; `orders.blue` and `orders.green`, where a label decides. A
server there is named after its revision and address, so its figures can be told apart.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import ip_address
from math import lcm
from pathlib import Path
from typing import NamedTuple

from cludale.kernel.refusals import Busy
from cludale.pages import PREFIXES
from cludale.web.problems import HttpVersionNotSupported, NoSuchRoute, Problems
from cludale.web.responses import Response
from cludale_operations.gateway.certificates import NO_FRAME, bind, escaped, hsts, redirect
from cludale_operations.gateway.problems import NoSuchLabel, by_status
from cludale_operations.gateway.routes import LABELS, Place, ServiceRoutes, place

BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, float("inf"))
"""Bounds of the histogram of times that is kept of each revision, a counter each …"""
ANSWERS = len(BUCKET_SECONDS)
"""… and the counters after these: of all answers …"""
ERRORS = ANSWERS + 1
"""… and of those that are 5xx. Broken answers are HAProxy's `eresp`, which has two for a connection that was closed."""
ALIVE = "alive"
SELDOM = 4
"""Seconds between two questions where it is seldom asked for."""
KINDS = (ALIVE, *LABELS)
"""What the names of a service's other backends end with."""
CHECKED = "proc.checked"
"""HAProxy's variable that is set once each server was asked whether it is ready."""
TIMES = "times"
"""The table of them; its keys are `service/revision`."""
MOST_WEIGHT = 256
"""HAProxy's."""
_INSIDE = "inside"
"""What the door for this machine's own parts is called."""
_HEAD_BYTES = 49_152
_BUFFERED_BODY_BYTES = 65_536
"""A request is received whole before it is passed on, if its body has no more."""
_CHECKED = "fastinter 250ms downinter 500ms fall 2 rise 1 check inter"


class GatewayLimits(NamedTuple):
    """Bounds, in seconds, bytes and counts."""

    body_bytes: int = 65_536
    connections: int = 4_096
    """Of clients; more of them wait."""
    request_seconds: float = 20
    """For a client to send one request, or to go on taking an answer."""
    idle_seconds: float = 65
    connect_seconds: float = 1
    answer_seconds: float = 60
    """For a service to answer, and between two pieces of an answer; longer than the longest `?wait=`."""
    waiting_seconds: float = 2
    """For a backend that has all requests that it may have."""
    backend_connections: int = 512
    stop_seconds: float = 20
    """For what is under way at the end."""


class Inside(NamedTuple):
    """A door for this machine's own parts."""

    descriptor: int
    certificate: Path | None = None
    """What is shown there; None: it is plain HTTP."""


class Entry(NamedTuple):
    """Where requests come in: sockets that are inherited, by their descriptors."""

    public: int
    certificate: Path | None = None
    """With it HTTPS is spoken at `public`."""
    port: int = 443
    """Of `public`: where plain HTTP is led to."""
    plain: int | None = None
    """Where plain HTTP is led to HTTPS from."""
    inside: Inside | None = None
    """Where this machine's own parts come in."""
    trusted: tuple[str, ...] = ()
    """Networks of proxies: what they say of whom they ask for is passed on."""
    hsts_subdomains: bool = False
    """Are browsers told to stay with HTTPS for hosts below this one, too?"""
    operators: tuple[str, ...] = ()
    """Networks from which the gateway's figures are shown; none: from anywhere."""

    @property
    def descriptors(self) -> list[int]:
        """All that HAProxy inherits."""
        inside = None if self.inside is None else self.inside.descriptor
        return [each for each in (self.public, self.plain, inside) if each is not None]


class Server(NamedTuple):
    """One process, as HAProxy knows it in one of its backends."""

    name: str
    at: str
    weight: int
    check_seconds: int = 1
    """Between two questions whether it is ready; seldom where only a trial asks."""
    trusted: Path | None = None
    """The certificate that it shows; None: it is asked in the clear."""

    def line(self, limits: GatewayLimits) -> str:
        """How it is written, without its name."""
        bounds = f"weight {self.weight} maxconn {limits.backend_connections}"
        return f"{self.at} {_CHECKED} {self.check_seconds}s {bounds}{over_tls(self.trusted)}"


def servers(name: str, routes: ServiceRoutes) -> dict[str, dict[str, Server]]:
    """The servers of a service's backends, by the backends' and their own names."""
    weights = _spread(routes)
    all_ = {each.name: each for each in (_server(route.url, route.revision, weights) for route in routes.backends)}
    found = {name: all_, f"{name}.{ALIVE}": {each: all_[each]._replace(check_seconds=SELDOM) for each in all_}}
    for label in LABELS:
        revision = next((each.revision for each in routes.traffic if each.label == label), None)
        found[f"{name}.{label}"] = {
            server: each._replace(weight=1, check_seconds=SELDOM)
            for server, each in all_.items()
            if revision_of(server) == revision
        }
    return found


def over_tls(trusted: Path | None) -> str:
    """The end of the line of a server that shows this certificate; checks of its health use TLS, too."""
    if trusted is None:
        return ""
    return f" ssl ssl-min-ver TLSv1.3 verify required ca-file {escaped(trusted)} check-ssl"


def revision_of(server: str) -> str:
    """The revision that a server is of."""
    return server.partition("_")[0]


def _server(url: str, revision: str, weights: Mapping[str, int]) -> Server:
    there = place(url)
    return Server(name_of(revision, there), _at(there), weights[revision], trusted=there.trusted)


def name_of(revision: str, there: Place) -> str:
    """What the server of a revision is called."""
    return f"{revision}_{there.host.strip('[]')}:{there.port}"


def _at(there: Place) -> str:
    return f"[{there.host}]:{there.port}" if ":" in there.host else f"{there.host}:{there.port}"


def _spread(routes: ServiceRoutes) -> dict[str, int]:
    """What each process of a revision gets, so that all of them together get its weight."""
    counts = Counter(backend.revision for backend in routes.backends)
    weights = {each.revision: each.weight for each in routes.traffic}
    whole = lcm(*(count for revision, count in counts.items() if weights.get(revision)))
    shares = {revision: whole * weights.get(revision, 0) // count for revision, count in counts.items()}
    most = max(shares.values(), default=0)
    if most > MOST_WEIGHT:
        shares = {revision: share and max(1, share * MOST_WEIGHT // most) for revision, share in shares.items()}
    return shares


def written(
    services: Mapping[str, ServiceRoutes],
    *,
    entry: Entry,
    pages: str,
    socket: str,
    problems: Problems,
    limits: GatewayLimits,
    people: str | None = None,
) -> str:
    """The whole of it, for all services. `pages`: where the pages are served.

    `people`: where those for people are; without it there are none. Raises UnusableRoutes.
    """
    shown = None if people is None else place(people)
    lines = [
        *_global(socket, limits),
        *_defaults(problems, limits),
        *_public(services, entry, problems, has_people=shown is not None),
        *(() if entry.plain is None else redirect(entry.plain, entry.port, defaults="common")),
        *([] if shown is None else ["backend people from common", f"    {_alone('people', shown)}"]),
        "backend pages from common",
        f"    {_alone('pages', place(pages))}",
        f"backend {TIMES} from common",
        f"    stick-table type string len 160 size 1k store gpc({ERRORS + 1})",
    ]
    if any(not _is_address(route.url) for routes in services.values() for route in routes.backends):
        lines += ["resolvers names", "    parse-resolv-conf", "    hold valid 2s"]
    for name, routes in services.items():
        for backend, known in servers(name, routes).items():
            question = "/readyz" if backend == name else "/readyz/replica"
            lines.append(f"backend {backend} from services")
            lines.append(f"    http-check send meth GET uri {question} ver HTTP/1.1 hdr host gateway")
            lines += (f"    server {each.name} {each.line(limits)}{_resolved(each)}" for each in known.values())
    return "\n".join([*lines, ""])


def _alone(name: str, there: Place) -> str:
    """The line of a backend's only server, which is not looked after."""
    return f"server {name} {_at(there)}{over_tls(there.trusted)}"


def _is_address(url: str) -> bool:
    try:
        ip_address(place(url).host)
    except ValueError:
        return False
    return True


def _resolved(server: Server) -> str:
    """A server known by a name may be elsewhere tomorrow, and nowhere today."""
    return "" if _is_address(f"http://{server.at}") else " resolvers names init-addr last,libc,none"


def _global(socket: str, limits: GatewayLimits) -> Iterator[str]:
    yield "global"
    yield f"    stats socket unix@{socket} mode 600 level admin"
    yield "    nbthread 1"
    yield "    ssl-load-extra-del-ext"  # the key of server.crt is in server.key
    yield f"    maxconn {limits.connections}"
    yield f"    hard-stop-after {_ms(limits.stop_seconds)}"
    yield f"    tune.bufsize {_HEAD_BYTES + min(limits.body_bytes, _BUFFERED_BODY_BYTES)}"


def _defaults(problems: Problems, limits: GatewayLimits) -> Iterator[str]:
    yield "defaults common"
    yield "    mode http"
    for what, seconds in (
        ("connect", limits.connect_seconds),
        ("queue", limits.waiting_seconds),
        ("client", limits.request_seconds),
        ("http-request", limits.request_seconds),
        ("http-keep-alive", limits.idle_seconds),
        ("server", limits.answer_seconds),
        ("check", 2),
    ):
        yield f"    timeout {what} {_ms(seconds)}"
    for status, problem in by_status(limits.body_bytes).items():
        yield f"    http-error status {status} {_body(problems.answer(problem))}"
    yield "defaults services from common"
    yield "    balance roundrobin"
    yield "    option httpchk"
    yield "    http-check expect status 200"
    # Sent again is only what was not sent at all; or what changes nothing, over a connection that was just closed.
    yield "    retries 3"
    yield "    option redispatch 1"
    yield "    retry-on conn-failure empty-response"
    yield "    http-request disable-l7-retry unless METH_GET"
    yield "    http-response set-header x-cludale-revision %[srv_name,field(1,_)]"
    yield "    http-response set-var(txn.us) date(0,us),sub(txn.start)"
    yield "    http-response set-var-fmt(txn.of) %[var(txn.service)]/%[srv_name,field(1,_)]"
    yield f"    http-response track-sc0 var(txn.of) table {TIMES}"
    yield f"    http-response sc-inc-gpc({ANSWERS},0)"
    yield f"    http-response sc-inc-gpc({ERRORS},0) if {{ status ge 500 }}"
    for number, bound in enumerate(BUCKET_SECONDS):
        within = "" if bound == float("inf") else f" {{ var(txn.us) -m int le {round(bound * 1e6)} }}"
        yield f"    http-response sc-inc-gpc({number},0) if !{{ var(txn.waits) -m found }}{within}"


def _public(services: Collection[str], entry: Entry, problems: Problems, *, has_people: bool) -> Iterator[str]:
    yield "frontend public from common"
    if entry.certificate is None:
        yield f"    bind fd@{entry.public}"
    else:
        yield f"    {bind(entry.public, entry.certificate)}"
        yield f"    {hsts(subdomains=entry.hsts_subdomains)} if {{ ssl_fc }}"
    if entry.inside is not None:
        own = entry.inside.certificate
        line = f"bind fd@{entry.inside.descriptor}" if own is None else bind(entry.inside.descriptor, own)
        yield f"    {line} name {_INSIDE}"
    yield f"    {NO_FRAME}"
    yield "    option disable-h2-upgrade"
    yield "    option http-buffer-request"
    yield "    http-request set-var(txn.start) date(0,us)"
    yield "    http-request set-var(txn.waits) bool(1) if { url_param(wait) -m found }"
    version = problems.answer(HttpVersionNotSupported("that"))
    yield f"    http-request return status 505 {_body(version)} if !{{ req.ver 1.1 1.0 }}"
    for name in ("forwarded", "x-real-ip", "upgrade", "http2-settings", "te", "keep-alive", "proxy-authorization"):
        yield f"    http-request del-header {name}"
    yield from _forwarded(entry.trusted)
    yield "    http-request set-header x-forwarded-host %[req.hdr(host)]"
    yield '    http-request set-header via "1.1 cludale"'
    yield "    http-request set-var(txn.service) path,url_dec,field(2,/)"
    yield "    acl of_a_service path_beg /metrics/"
    yield "    acl reads method GET HEAD"
    yield "    http-request set-var(txn.service) path,field(3,/) if of_a_service"
    yield f"    acl known var(txn.service) -m str {' '.join(services)}"
    yield from _figures(entry, problems)
    yield "    http-request set-path /metrics if of_a_service known reads"
    yield "    acl readiness path /readyz /readyz/replica"
    # HAProxy takes a server for up until it was asked.
    asking = _body(problems.answer(Busy("Starting: the services are asked whether they are ready.")))
    yield f"    http-request return status 503 {asking} if readiness reads !{{ var({CHECKED}) -m found }}"
    for name in services:
        not_up = _body(problems.answer(Busy(f"Not up: {name}.")))
        none = f"{{ nbsrv({name}) eq 0 }} {{ nbsrv({name}.{ALIVE}) eq 0 }}"
        yield f"    http-request return status 503 {not_up} if readiness reads {none}"
    for name in services:
        # it says itself what does not work
        yield f"    use_backend {name}.{ALIVE} if {{ path /readyz }} reads {{ nbsrv({name}) eq 0 }}"
    ready = 'content-type application/json string "{\\"status\\":\\"ready\\"}"'
    every = " ".join(f"{{ nbsrv({name}) gt 0 }}" for name in services)
    yield f"    http-request return status 200 {ready} if {{ path /readyz }} reads {every}"
    yield f"    http-request return status 200 {ready} if {{ path /readyz/replica }} reads"
    yield "    http-request set-var(txn.label) req.hdr(x-cludale-label)"
    yield "    http-request del-header x-cludale-label"
    yield "    acl labelled var(txn.label) -m found"
    yield (
        f"    http-request return status 404 {_body(problems.answer(NoSuchLabel()))} "
        f"if known labelled !{{ var(txn.label) -m str {' '.join(LABELS)} }}"
    )
    yield "    use_backend %[var(txn.service)].%[var(txn.label)] if known labelled"
    for name in services:
        none = f"{{ nbsrv({name}) eq 0 }} {{ nbsrv({name}.{ALIVE}) gt 0 }}"
        yield f"    use_backend {name}.{ALIVE} if {{ var(txn.service) -m str {name} }} {none}"
    yield "    use_backend %[var(txn.service)] if known"
    if has_people:
        yield "    use_backend people if { var(txn.service) -m str " + " ".join(PREFIXES) + " }"
    yield "    default_backend pages"


def _figures(entry: Entry, problems: Problems) -> Iterator[str]:
    """The gateway's own, for operators."""
    if entry.operators:
        # by the word of a trusted proxy, which stands before what was added here
        yield "    http-request set-var(txn.from) src"
        if entry.trusted:
            said = "{ req.hdr_ip(x-forwarded-for,-2) -m found }"
            yield f"    http-request set-var(txn.from) req.hdr_ip(x-forwarded-for,-2) if by_proxy {said}"
        hidden = _body(problems.answer(NoSuchRoute("/metrics")))
        inside = f"{{ var(txn.from) -m ip {' '.join(entry.operators)} }}"
        yield f"    http-request return status 404 {hidden} if {{ path /metrics }} reads !{inside}"
    yield "    http-request use-service prometheus-exporter if { path /metrics } reads"


def _forwarded(trusted: Collection[str]) -> Iterator[str]:
    """Who asks, and how they came: by the word of a trusted proxy, else by what is seen here."""
    # what comes in inside is encrypted, too, and says how people asked for it
    yield f"    http-request set-var(txn.https) bool(1) if {{ ssl_fc }} !{{ so_name -m str {_INSIDE} }}"
    https, plain = "{ var(txn.https) -m found }", "!{ var(txn.https) -m found }"
    seen, plainly = "", plain
    if trusted:
        yield f"    acl by_proxy src {' '.join(trusted)}"
        yield "    acl says_who req.fhdr(x-forwarded-for) -m found"
        yield "    acl says_how req.fhdr(x-forwarded-proto) -m found"
        yield '    http-request set-header x-forwarded-for "%[req.fhdr(x-forwarded-for)], %[src]" if by_proxy says_who'
        seen, plainly = " unless by_proxy says_who", f"{plain} !by_proxy or {plain} !says_how"
    yield f"    http-request set-header x-forwarded-for %[src]{seen}"
    yield f"    http-request set-header x-forwarded-proto http if {plainly}"
    yield f"    http-request set-header x-forwarded-proto https if {https}"


def _body(answer: Response) -> str:
    """An answer's type, body and headers, as HAProxy wants them written."""
    text = answer.body.decode().replace("\\", "\\\\").replace('"', '\\"')
    headers = _hdr(answer.headers)
    return f'content-type {answer.media_type} string "{text}"{headers}'


def _hdr(headers: Iterable[tuple[str, str]]) -> str:
    return "".join(f' hdr {name} "{value}"' for name, value in headers)


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
