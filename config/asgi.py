"""The ASGI application that the web server serves: pages and API in threads, streams beside them.

`config.wsgi` serves all but the streams, which then answer 501; the pages poll.
"""

import os

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

pages = get_wsgi_application()
streams = get_asgi_application()

# Both need the settings.
from apps.core.pool import use_pool  # noqa: E402
from apps.core.split import EACH, THREADS, WAITING, Split  # noqa: E402

use_pool()
application = Split(pages=pages, streams=streams, threads=THREADS, each=EACH, waiting=WAITING)
