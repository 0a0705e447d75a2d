#!/usr/bin/env python
"""Docmill's command line: `python manage.py help` lists what it can do."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from apps.core.ending import run

    run(sys.argv)


if __name__ == "__main__":
    main()
