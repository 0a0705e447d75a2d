"""Settings, URL table, and the WSGI and Celery applications. Imported by no app."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
