"""Running and watching the service: its health, and `manage.py up`.

The top floor: it may import every app, none imports it.
"""
