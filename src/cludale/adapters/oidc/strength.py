"""How sure an issuer has to be of whom it vouches for: asked for, and looked for in what it says. No I/O."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Strength(NamedTuple):
    """What is wanted of a sign-in. What the issuer does not say was the least there is."""

    contexts: frozenset[str] = frozenset()
    """Values of `acr`, of which it says one; none: any will do."""
    methods: frozenset[str] = frozenset()
    """Values of `amr` (RFC 8176), of which it says one at least, `mfa` for example; none: any will do."""
    max_age_seconds: float | None = None
    """How long ago somebody may have shown the issuer who they are; None: as long as it likes."""

    def asked(self) -> dict[str, str]:
        """What the request for a sign-in says of it."""
        found = {}
        if self.contexts:
            found["acr_values"] = " ".join(sorted(self.contexts))
        if self.max_age_seconds is not None:
            found["max_age"] = str(int(self.max_age_seconds))
        return found

    def wrong(self, claims: Mapping[str, Any], *, now: float, leeway: float) -> dict[str, bool]:
        """By claim: does the ID token say less than is wanted? `now`: Unix seconds."""
        methods, at = claims.get("amr"), claims.get("auth_time")
        is_time = isinstance(at, int | float) and not isinstance(at, bool)
        return {
            "acr": bool(self.contexts) and claims.get("acr") not in self.contexts,
            "amr": bool(self.methods)
            and not (
                isinstance(methods, list) and any(each in self.methods for each in methods if isinstance(each, str))
            ),
            "auth_time": self.max_age_seconds is not None
            and not (is_time and now - leeway - self.max_age_seconds <= at <= now + leeway),  # type: ignore[operator]
        }
