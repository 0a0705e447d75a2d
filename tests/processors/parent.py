"""A process with a host, for a test that kills it: prints the child's pid once it is reading."""

import sys
from pathlib import Path

from apps.processors.host import ProcessorHost
from apps.processors.protocol import Options
from tests.processors.conftest import BUDGET, FAULTY

host = ProcessorHost()
host.run(
    processor=FAULTY,
    source=Path(sys.argv[1]),
    name="order.txt",
    kind="txt",
    options=Options(),
    owner="a",
    budget=BUDGET,
    on_progress=lambda done, total, note: print(host.pid, flush=True),  # noqa: T201
    should_stop=lambda: False,
)
