"""Runs by azure-cli's own Python: command lines (JSON, a list of words each) from stdin, through the real `az`.

Nobody is logged in here, and there is neither Docker nor the Bicep compiler: a command line that is right comes as far
as to want one of these, and no farther. For each one a JSON object goes to stdout: `ok`, and what az said.
"""

import contextlib
import io
import json
import logging
import os
import sys
import tempfile

UNDERSTOOD = (
    "Please run 'az login'",
    "DOCKER_COMMAND_ERROR",
    "retrieve the latest Bicep version",
    "attempting to download Bicep CLI",
    "does not exist in group",  # what some commands make of it, asking Azure for the app first
    "' does not exist",  # the same of `containerapp secret set`, which has not read its secrets yet
)


def main() -> None:
    """Parse them all."""
    with tempfile.TemporaryDirectory() as folder:
        # no login, no telemetry, no extension of whoever runs this
        os.environ |= {
            "AZURE_CONFIG_DIR": folder,
            "AZURE_EXTENSION_DIR": folder,
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
        }
        # here, since it reads the environment as it is loaded; it is not in the project's own environment
        from azure.cli.core import get_default_cli  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415

        for line in sys.stdin:
            words = json.loads(line)
            said = io.StringIO()
            handler = logging.StreamHandler(said)
            handler.setLevel(logging.WARNING)
            logging.getLogger("cli").addHandler(handler)
            try:
                with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                    get_default_cli().invoke(words, out_file=io.StringIO())
            except SystemExit:
                pass  # how az ends when it can't parse
            except Exception as error:  # noqa: BLE001 - az raises what its commands raise
                said.write(str(error))
            finally:
                logging.getLogger("cli").removeHandler(handler)
            text = said.getvalue().strip()
            print(json.dumps({"ok": any(each in text for each in UNDERSTOOD), "said": text[-500:]}), flush=True)


main()
