"""A secret may name the algorithm that it is used with: `chacha20-poly1305:` and the rest. So another algorithm comes
with another secret, one beside the other.
"""

from collections.abc import Sequence


def algorithm_of(secret: str, known: Sequence[str]) -> str:
    """The one of `known` that stands before the secret, with a colon; the first of them where none does."""
    named, colon, _ = secret.partition(":")
    return named if colon and named in known else known[0]
