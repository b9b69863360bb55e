"""`make infra`: write what the code says into the files of the deployed shapes, and compute what the templates make.

Exit status 1 when one can't be computed, and why. What the compiler says beside that, the pipeline's first stage shows.
"""

import sys
from pathlib import Path

from tools.infra import catalogue, files
from tools.infra.bicep.evaluate import NotComputable, with_parameters
from tools.infra.bicep.syntax import NotBicep


def main() -> int:
    """Write, compute, say."""
    catalogue.FILE.parent.mkdir(parents=True, exist_ok=True)
    catalogue.FILE.write_text(catalogue.text(), encoding="utf-8")
    for path, text in files.made().items():
        path.write_text(text, encoding="utf-8")
    print(f"{catalogue.FILE} and {len(files.made())} files that list the services are what the code says")
    image = {"image": "registry.azurecr.io/cludale@sha256:" + "0" * 64}
    for parameters in sorted(Path("infra/parameters").glob("*.bicepparam")):
        try:
            made = with_parameters(parameters, image)
        except (NotBicep, NotComputable) as fault:
            print(fault, file=sys.stderr)
            return 1
        print(f"{parameters} makes {len(made.resources)} resources")
    return 0


if __name__ == "__main__":
    sys.exit(main())
