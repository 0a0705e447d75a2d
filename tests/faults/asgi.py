"""The web service, held at the point that the environment names."""

import os
from pathlib import Path

from config.asgi import application
from tests.faults.points import hold_at

hold_at(os.environ["FAULT_POINT"], Path(os.environ["FAULT_FOLDER"]))

__all__ = ["application"]
