"""Makes everything in tests/data again: `python -m tests.data.make.all` from the project's root."""

import tempfile
from pathlib import Path

from tests.data.make import broken, office, outlook, pdfs, pictures, plain, sheets

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        office.make(scratch)
        sheets.make(scratch)
        plain.make()
        pictures.make(scratch)
        pdfs.make(scratch)
        outlook.make()
        broken.make(scratch)
