"""A redirect of the collector is no delivery. The only module that knows the HTTP library of the OTLP exporters."""

from typing import Any

from requests import RequestException, Response, Session


class Redirected(RequestException):
    """The collector wants it at another address."""


class DirectSession(Session):
    """Raises at a redirect, which the exporters neither follow nor take for a failure (OpenTelemetry 1.45)."""

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """The response, if it is none. Raises Redirected."""
        response = super().request(*args, **kwargs)
        if 300 <= response.status_code < 400:
            raise Redirected(f"{response.status_code} to {response.headers.get('location', 'nowhere')}")
        return response
