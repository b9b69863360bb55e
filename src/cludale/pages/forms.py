"""Forms and cookies: read, and safe from other sites. No I/O.

A form is taken if the browser says that it comes from this site (`Sec-Fetch-Site`, else `Origin`), and if it carries
the token that follows from the person's cookie: another site can neither read nor set that.
"""

import hmac
import secrets
from collections.abc import Mapping
from email import policy
from email.errors import MessageError
from email.parser import BytesParser
from urllib.parse import parse_qsl, urlsplit

from cludale.web.routing import Request

FIELD = "csrf"
"""The field of a form that carries its token."""
FORM_COOKIE = "form"
MAX_FIELDS = 64
MAX_FORM_BYTES = 16_384
YEAR_SECONDS = 365 * 86_400
FORM_TYPE = "application/x-www-form-urlencoded"
FILE_TYPE = "multipart/form-data"
MAX_PARTS = 20


class FormRefused(Exception):
    """The form comes from elsewhere, is too old, or is no form."""


def cookies(request: Request) -> Mapping[str, str]:
    """The person's cookies, by name. Over HTTPS only such as no other host and no plain page can have set."""
    prefix = prefix_of(is_secure(request))
    header = request.header(b"cookie")
    if not header:
        return {}
    # One by one: a cookie that somebody else set badly is no reason to lose ours.
    pairs = (each.strip().partition("=") for each in header.split(";"))
    named = ((name.removeprefix(prefix), value) for name, _, value in pairs if name.startswith(prefix))
    return {name: value.strip('"') for name, value in named if name}


def prefix_of(secure: bool) -> str:  # noqa: FBT001 - there are two ways to come
    """How the names of cookies begin. A browser takes `__Host-` from this very host alone, for all of its paths, over
    HTTPS; on plain HTTP, which is for this machine alone, there is no such cookie.
    """
    return "__Host-" if secure else ""


def cookie(name: str, value: str, *, secure: bool, max_age_seconds: int | None = YEAR_SECONDS) -> tuple[str, str]:
    """A header that sets a cookie which no script reads and no other site's form sends; no age: for the session."""
    age = "" if max_age_seconds is None else f"; Max-Age={max_age_seconds}"
    safe = "; Secure" if secure else ""
    return ("set-cookie", f"{prefix_of(secure)}{name}={value}; Path=/{age}; HttpOnly; SameSite=Lax{safe}")


def is_secure(request: Request) -> bool:
    """Did the person come by HTTPS, as far as the proxy before us says?"""
    return request.header(b"x-forwarded-proto") == "https"


def new_seed() -> str:
    """A fresh value of the form cookie."""
    return secrets.token_urlsafe(18)


def token(seed: str) -> str:
    """What a form of whoever has this form cookie carries."""
    return hmac.new(seed.encode(), b"cludale form", "sha256").hexdigest()[:40]


def whole(text: str, *, most_digits: int = 9) -> int | None:
    """The number that was typed, of so many digits at most; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= most_digits else None


def read(request: Request, *, most: int = MAX_FIELDS, most_bytes: int = MAX_FORM_BYTES) -> dict[str, str]:
    """The form's fields, the last of each name, without blanks around their values. Raises FormRefused."""
    check_origin(request)
    if _type(request) != FORM_TYPE or len(request.body) > most_bytes:
        raise FormRefused("no form")
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=most, errors="strict")
    except ValueError as error:
        raise FormRefused("no form") from error
    return _checked(request, {name: value.strip() for name, value in pairs})


def read_files(request: Request, *, most_bytes: int) -> tuple[dict[str, str], dict[str, bytes]]:
    """The fields of a form that may have files (`multipart/form-data`), and its files by field. Raises FormRefused."""
    if _type(request) != FILE_TYPE:
        return read(request, most_bytes=most_bytes), {}
    check_origin(request)
    if len(request.body) > most_bytes:
        raise FormRefused("too large")
    head = (request.header(b"content-type") or "").encode()
    try:
        whole = BytesParser(policy=policy.HTTP).parsebytes(b"content-type: " + head + b"\r\n\r\n" + request.body)
        parts = list(whole.iter_parts())
        if len(parts) > MAX_PARTS:
            raise FormRefused("too many parts")
        fields: dict[str, str] = {}
        files: dict[str, bytes] = {}
        for part in parts:
            name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
            if not isinstance(name, str) or not isinstance(content, bytes):
                raise FormRefused("no form")
            if part.get_filename() is None:
                fields[name] = content.decode().strip()
            elif content:
                files[name] = content
    except (MessageError, TypeError, ValueError, LookupError) as error:
        raise FormRefused("no form") from error
    return _checked(request, fields), files


def _type(request: Request) -> str:
    return (request.header(b"content-type") or "").partition(";")[0].strip().lower()


def _checked(request: Request, fields: dict[str, str]) -> dict[str, str]:
    """The fields without the token, which has to be the person's. Raises FormRefused."""
    seed = cookies(request).get(FORM_COOKIE, "")
    if not seed or not hmac.compare_digest(fields.pop(FIELD, "").encode(), token(seed).encode()):
        raise FormRefused("no token")
    return fields


def check_origin(request: Request) -> None:
    """Raises FormRefused for what another site sent."""
    site = request.header(b"sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise FormRefused("from another site")
        return
    origin = request.header(b"origin")
    if origin is not None and urlsplit(origin).netloc != (request.header(b"host") or ""):
        raise FormRefused("from another site")
