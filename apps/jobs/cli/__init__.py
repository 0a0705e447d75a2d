"""What `manage.py submit` and `manage.py jobs` are made of.

Both speak to a door: `local` is this installation's database, `remote` another's REST API. A job
and a file look the same through either, as `apps.jobs.api.serializers` draws them.
"""
