"""The authorization matrix in docs/use/keys.md, from what the routes say of themselves."""

from cludale.services import NAMES
from cludale.web.routing import Credential, Route
from cludale.wiring.services import described

HEAD = "| route | opened by | own |\n| --- | --- | --- |\n"


def keys_page(text: str) -> str:
    """The page with the table of every route that not everyone may call, at its end."""
    routes = [each for service in described() for each in service.routes if each.credential is not Credential.NONE]
    return text[: text.index(HEAD) + len(HEAD)] + "".join(map(_row, routes))


def _row(route: Route) -> str:
    ways = []
    if route.credential is Credential.BUYER:
        ways.append("the order's token")
    if route.scope is not None:
        ways.append(f"a key with `{route.scope}`")
    if route.credential is Credential.SESSION:
        ways.append("who is signed in, for their own session")
    if route.callers:
        ways.append("services" if set(route.callers) == set(NAMES) else f"the service {' or '.join(route.callers)}")
    return f"| `{route.method} {route.path}` | {', '.join(ways)} | {route.owned.value} |\n"
