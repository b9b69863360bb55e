"""What proves the product, loaded once a command asks for it: an installation, such as the image, may go without."""

from collections.abc import Iterator
from contextlib import contextmanager

PACKAGE = "cludale_proof"


class ProofMissing(Exception):
    """The package is not here; the message says what to do."""


@contextmanager
def proof_for(command: str) -> Iterator[None]:
    """Around an import from the package, for the sake of `command`. Raises ProofMissing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != PACKAGE:
            raise
        raise ProofMissing(
            f"`{command}` needs the package {PACKAGE}, which is not installed here: "
            "run the command from the project's sources, where `make run` installs all of it"
        ) from missing
