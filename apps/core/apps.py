import gc

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    name = "apps.core"

    def ready(self) -> None:
        from apps.core import checks, logs, queries, tracing  # noqa: F401  they register themselves

        logs.configure(settings.LOG_FORMAT)
        tracing.start(settings.VERSION)
        autodiscover_modules("metrics")  # or what only a worker counts is not known to a web server
        gc.freeze()  # no collection looks at it again, and forked workers go on sharing its memory
        gc.enable()  # `config` has it off while apps are loaded
