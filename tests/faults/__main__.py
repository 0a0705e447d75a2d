"""`python -m tests.faults SQLITE.xml POSTGRES.xml`: what `make faults` saw, as docs/faults.md.

Exits with 1 when a cell failed or was not played.
"""

import os
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from tests.faults import table  # noqa: E402  its imports need the settings

text = table.page(*(table.outcomes(Path(report)) for report in sys.argv[1:]))
table.PAGE.write_text(text)
sys.stdout.write(text)
sys.exit(not table.is_complete(text))
