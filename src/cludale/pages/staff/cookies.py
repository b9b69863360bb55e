"""The cookies of those who sign in, and where they may go on to. No I/O."""

import hmac
from urllib.parse import unquote, urlsplit

from cludale.pages import forms
from cludale.pages.site import Visit
from cludale.web.responses import Headers

SESSION = "session"
SIGN_IN = "sign-in"
HINT = "sign-in-hint"
LONGEST_HINT = 3_000
"""A browser keeps no cookie that is longer than 4,096; without it the issuer asks who is to be signed out."""
SIGN_IN_SECONDS = 600
"""How long somebody may take at the issuer."""
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def is_private(visit: Visit) -> bool:
    """Can nobody on the way read along? HTTPS, or this machine."""
    return visit.secure or urlsplit(f"//{visit.request.header(b'host') or ''}").hostname in LOCAL


def token(visit: Visit) -> str | None:
    """The session's token; None for who isn't signed in."""
    return visit.cookies.get(SESSION) or None


def signed_in(visit: Visit, token: str) -> tuple[str, str]:
    """A header that keeps the session's token, until the browser is closed or the session is over."""
    return forms.cookie(SESSION, token, secure=visit.secure, max_age_seconds=None)


def hinted(visit: Visit, hint: str | None) -> Headers:
    """A header that keeps what the issuer knows this sign-in by: nobody else has it, and no store."""
    if not hint or len(hint) > LONGEST_HINT:
        return ()
    return (forms.cookie(HINT, hint, secure=visit.secure, max_age_seconds=None),)


def hint(visit: Visit) -> str | None:
    """What the issuer knows this browser's sign-in by."""
    return visit.cookies.get(HINT) or None


def gone(visit: Visit, base: str) -> tuple[str, str]:
    """A header that takes a cookie away."""
    return forms.cookie(base, "", secure=visit.secure, max_age_seconds=0)


def began(visit: Visit, *, state: str, nonce: str, verifier: str, onward: str) -> tuple[str, str]:
    """A header that keeps what the way back from the issuer needs; state and verifier leave this browser in no way."""
    value = ".".join((state, nonce, verifier, onward.encode().hex()))
    return forms.cookie(SIGN_IN, value, secure=visit.secure, max_age_seconds=SIGN_IN_SECONDS)


def begun(visit: Visit, state: str) -> tuple[str, str, str] | None:
    """Nonce, verifier and where to go on to, if this browser began the sign-in that came back with `state`."""
    parts = visit.cookies.get(SIGN_IN, "").split(".")
    if len(parts) != 4 or not hmac.compare_digest(parts[0].encode(), state.encode()):
        return None
    try:
        onward = bytes.fromhex(parts[3]).decode()
    except ValueError:
        return None
    return parts[1], parts[2], local(onward)


def local(path: str | None, otherwise: str = "/staff") -> str:
    """A path of these pages, wherever `path` would lead."""
    if path is None or not path.startswith("/staff") or len(path) > 500:
        return otherwise
    plain = unquote(path)
    if not plain.isprintable() or "\\" in plain or "//" in plain or ".." in plain:
        return otherwise
    return path if path[len("/staff") :][:1] in ("", "/", "?") and path.isascii() else otherwise


def cleared(visit: Visit) -> Headers:
    """Headers that remove all cookies of a session from the browser."""
    return (gone(visit, SESSION), gone(visit, SIGN_IN), gone(visit, HINT))
