"""The settings, with a view and a worker that fail with words nobody may read."""

from config import settings

globals().update({name: value for name, value in vars(settings).items() if name.isupper()})

ROOT_URLCONF = "tests.logs.urls"
QUEUE_HANDLERS = [
    "tests.logs.failing.FailingHandler",
    *(path for path in settings.QUEUE_HANDLERS if not path.endswith("BatchFileHandler")),
]
