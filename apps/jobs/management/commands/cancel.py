"""`manage.py cancel`: stop jobs."""

from apps.jobs.cli.acting import ActingCommand


class Command(ActingCommand):
    help = """Stop jobs: what waits does not start, what runs is stopped, results so far stay.

  manage.py cancel 019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21
  manage.py cancel ID ID ID --wait --json

Exit code: 0 all were cancelled, 2 not all: each that was not is told with its reason. Many at once
by what they have in common: manage.py bulk cancel.
"""
    verb = "cancel"
