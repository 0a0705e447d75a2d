"""`manage.py retry`: run again what failed."""

from apps.jobs.cli.acting import ActingCommand


class Command(ActingCommand):
    help = """Run again the files of ended jobs that failed or were cancelled.

  manage.py retry 019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21 --wait
  DOCMILL_API_KEY=dm_... manage.py retry ID ID --url https://mill.example.com

Exit code: 0 all are run again (with --wait: and went well), 1 with --wait: some files failed again,
2 not all could be run again: each is told with its reason. Many at once by what they have in
common: manage.py bulk retry.
"""
    verb = "retry"
