"""`make infra`: write what the code says into the files of the deployed shapes, and resolve the Bicep files.

Exit status 1 when they don't resolve, with one line for each fault.
"""

import sys
from pathlib import Path

from tools.infra import catalogue, files
from tools.infra.bicep.resolve import faults_of


def main() -> int:
    """Write, resolve, say."""
    catalogue.FILE.parent.mkdir(parents=True, exist_ok=True)
    catalogue.FILE.write_text(catalogue.text(), encoding="utf-8")
    for path, text in files.made().items():
        path.write_text(text, encoding="utf-8")
    print(f"{catalogue.FILE} and {len(files.made())} files that list the services are what the code says")
    faults = [*faults_of(Path("infra/main.bicep"))]
    for parameters in sorted(Path("infra/parameters").glob("*.bicepparam")):
        faults += faults_of(parameters)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
