"""The engine: rows in SQL that are claimed, leased, renewed, settled and, when lost, taken back.

SQL is the truth; a Celery message is a doorbell that names a lane and nothing else. Knows none of
its users: they give it a model (`LeasedRow`) and a `Handler`, named in `settings.QUEUE_HANDLERS`.
May import `accounts` and `core`.
"""
