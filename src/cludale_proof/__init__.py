"""What proves the product. No image has it: it is run from the project's sources.

`checker` reads stores and log from outside and shares no code with the product; `simulator` runs the product under a
virtual clock with every fault, and asks the checker; `planted` puts bugs in on purpose, each of which the simulator
has to find; `rehearsal` is an on-sale against a running server, and the load that benchmarks use.
"""

import os
import zoneinfo

# As in `cludale`, with which the checker shares no code: it has to reckon with the same time zones.
if "PYTHONTZPATH" not in os.environ:
    zoneinfo.reset_tzpath(to=())
