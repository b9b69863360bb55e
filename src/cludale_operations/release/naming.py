"""What the revisions of a version are called: by its commit and by its image, for a commit can be built anew. Pure.

Azure's rules: lower-case letters, digits and single hyphens, a letter first; with the app's name and the two hyphens
between them at most 54 characters. infra/main.bicep takes suffixes of up to 20.
"""

import re

from cludale_operations.release.deployed import NotNow

ON = "-on"
"""What a copy that takes events has at the end of its name."""

CANARY = "-1"
"""What the copy that takes a few events has: one process of each service."""

_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)
_BY_DIGEST = re.compile(r".+@sha256:([0-9a-f]{64})")
_OF_COMMIT = 8
_OF_DIGEST = 7


def suffix_of(commit: str, image: str) -> str:
    """The suffix of the version's revisions. Raises NotNow, for what is no commit or no image by its digest."""
    by_digest = _BY_DIGEST.fullmatch(image)
    if _COMMIT.fullmatch(commit) is None:
        raise NotNow(f"{commit} is no commit: expected its hash")
    if by_digest is None:
        raise NotNow(f"{image}: expected an image by its digest, registry/name@sha256:…; a tag may change meanwhile")
    return f"c{commit[:_OF_COMMIT].lower()}-{by_digest[1][:_OF_DIGEST]}"


def is_revision_of(revision: str, suffix: str) -> bool:
    """Is it a revision of the version with this suffix, taking events, a few or none?"""
    return revision.partition("--")[2] in {suffix, suffix + CANARY, suffix + ON}


def trial_of(revision: str) -> str:
    """The revision of the same version that takes no events: what the others are copies of."""
    return revision.removesuffix(ON).removesuffix(CANARY)
