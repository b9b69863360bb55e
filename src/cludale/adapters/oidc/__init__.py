"""Sign-in by an OpenID Connect issuer: authorization code with PKCE. Every request to it has an end."""

from cludale.adapters.oidc.issuer import OidcIssuer
from cludale.adapters.oidc.strength import Strength

__all__ = ["OidcIssuer", "Strength"]
