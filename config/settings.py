"""Every setting of Docmill, from the environment, with defaults that run on a laptop.

`.env.example` lists each variable with its unit and effect. Defaults live here and nowhere else.
"""

from pathlib import Path

import environ
from csp.constants import NONE, SELF

from config.env import data_dir, embedded_socket, generated_secret

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

env = environ.FileAwareEnv()
environ.Env.read_env(env("ENV_FILE", default=str(BASE_DIR / ".env")))

DOCMILL_DATA_DIR = data_dir(env("DOCMILL_DATA_DIR", default=str(BASE_DIR / "data")))
ENVIRONMENT = env("ENVIRONMENT", default="laptop")
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env("SECRET_KEY", default="") or generated_secret(DOCMILL_DATA_DIR / "secret_key")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "corsheaders",
    "apps.core",
    "apps.audit",
    "apps.accounts",
    "apps.queue",
    "apps.ratelimits",
    "apps.processors",
    "apps.jobs",
    "apps.health",
    "apps.web",
]

MIDDLEWARE = [
    "apps.core.middleware.RequestIdMiddleware",
    # These say what browsers are to refuse, so they come before whatever answers by itself.
    "apps.core.middleware.DefaultHeaders",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "apps.health.middleware.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.ratelimits.middleware.LimitHeaders",
    "apps.core.problems.ProblemPages",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
# An organization's page in the admin has four for every member. What is read of a form is bounded
# by its bytes as well.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.web.context.shell",
            ],
        },
    },
]

# --- database ---------------------------------------------------------------------------------

DATABASES = {
    "default": env.db_url(
        "DATABASE_URL", default=f"sqlite:///{DOCMILL_DATA_DIR / 'docmill.sqlite3'}"
    )
}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: a deferred transaction that turns from reading to writing fails at once with
    # "database is locked", whatever the timeout.
    _database["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    _database["OPTIONS"] = {
        "connect_timeout": 5,  # seconds
        # A peer that is gone without a word is noticed within about ten seconds.
        "keepalives_idle": 10,
        "tcp_user_timeout": 10_000,  # milliseconds
        # A process that froze in a transaction must not hold its job's row for ever.
        "options": "-c idle_in_transaction_session_timeout=60s -c lock_timeout=15s",
    } | _database.get("OPTIONS", {})
    _database["CONN_HEALTH_CHECKS"] = True
_database["CONN_MAX_AGE"] = 60
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis or Valkey: doorbells and caches, never the truth -------------------------------------

EMBEDDED_SOCKET = embedded_socket(DOCMILL_DATA_DIR)
REDIS_URL = env("REDIS_URL", default="") or f"unix://{EMBEDDED_SOCKET}"
REDIS_SOCKET_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 3}
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "docmill",
        "OPTIONS": {"CONNECTION_POOL_KWARGS": REDIS_SOCKET_OPTIONS},
    },
    # Of django-ratelimit: counts where the limits do, and in memory while that is away.
    "guard": {
        "BACKEND": "apps.ratelimits.guard_cache.GuardCache",
        "LOCATION": "guard",
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    },
}
RATELIMIT_USE_CACHE = "guard"

# --- accounts -----------------------------------------------------------------------------------

DOCMILL_ADMIN_EMAIL = env("DOCMILL_ADMIN_EMAIL", default="admin@localhost")

AUTH_USER_MODEL = "accounts.User"
ENABLE_SIGNUP = env.bool("ENABLE_SIGNUP", default=False)
PASSWORD_RESET_TIMEOUT = 3600  # seconds for which a link that was mailed is good
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- web ----------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
LOGIN_URL = "web:sign-in"
LOGIN_REDIRECT_URL = "web:dashboard"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = data_dir(str(DOCMILL_DATA_DIR / "static"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "apps.core.statics.StaticFiles"},
}

# --- mail: `smtp+tls://user:password@host:587`; onto the console by default ---------------------

_mail = env.email_url("EMAIL_URL", default="consolemail://")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST = _mail.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _mail.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _mail.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = _mail.get("EMAIL_FILE_PATH") or ""
EMAIL_TIMEOUT = 20  # seconds
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="Docmill <docmill@localhost>")

# --- what browsers are told to refuse -----------------------------------------------------------

HTTPS_ONLY = env.bool("HTTPS_ONLY", default=False)
_proxy_header = env("HTTPS_PROXY_HEADER", default="")
if _proxy_header:
    SECURE_PROXY_SSL_HEADER = (f"HTTP_{_proxy_header.upper().replace('-', '_')}", "https")
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS_ONLY else 0
# They ask HSTS to cover sister hosts and to be built into browsers: not ours to say for a domain.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SECURE = HTTPS_ONLY
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_HTTPONLY = True  # scripts take the token from the page
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "apps.core.problems.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
DEFAULT_HEADERS = {
    "Cache-Control": "private, no-store",  # what somebody may see is kept nowhere on the way
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
    "X-Content-Type-Options": "nosniff",
}
# Scripts of other sites come with an API key: cookies stay at home.
CORS_ALLOWED_ORIGINS = env.list("CORS_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api(/|$)"
WHITENOISE_ALLOW_ALL_ORIGINS = False
CORS_ALLOW_HEADERS = ["Accept", "Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID"]
CORS_EXPOSE_HEADERS = [
    "Content-Disposition",
    "Idempotency-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.accounts.permissions.IsMember"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "apps.core.browsable.BrowsablePages",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.core.negotiation.ProblemIsJson",
    "DEFAULT_PAGINATION_CLASS": "apps.core.pagination.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["apps.core.filters.StrictFilterBackend"],
    "DEFAULT_METADATA_CLASS": "apps.core.browsable.Metadata",
    "DEFAULT_SCHEMA_CLASS": "apps.ratelimits.schema.LimitedAutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["apps.ratelimits.throttle.Limits"],
    "EXCEPTION_HANDLER": "apps.ratelimits.throttle.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Docmill",
    "DESCRIPTION": "Submit documents in batches, follow them, fetch the results.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,  # a file is bytes when it is sent and an address when told
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "cookieAuth": {
                "type": "apiKey",
                "in": "cookie",
                "name": "sessionid",
                "description": "The session of who is signed in here: nothing to enter. "
                "What changes something also takes the header X-CSRFToken.",
            }
        }
    },
    "ENUM_NAME_OVERRIDES": {
        "JobStateEnum": "apps.jobs.states.JOB_STATES",
        "FileStateEnum": "apps.jobs.states.FILE_STATES",
    },
}

# --- batches ------------------------------------------------------------------------------------

BATCH_MAX_FILES = env.int("BATCH_MAX_FILES", default=50)
BATCH_MAX_FOUND = env.int("BATCH_MAX_FOUND", default=1000)
BATCH_MAX_FILE_BYTES = env.int("BATCH_MAX_FILE_BYTES", default=50 * 1024 * 1024)
STORAGE_MIN_FREE_BYTES = env.int("STORAGE_MIN_FREE_BYTES", default=1024**3)
STORAGE_MIN_FREE_PERCENT = env.int("STORAGE_MIN_FREE_PERCENT", default=5)
PREVIEW_CACHE_BYTES = env.int("PREVIEW_CACHE_BYTES", default=1024**3)
RESULT_RETENTION_DAYS = env.int("RESULT_RETENTION_DAYS", default=30)

# --- processors: first in the list that takes the operation and the kind wins --------------------

PROCESSORS = [
    *env.list("EXTRA_PROCESSORS", default=[]),
    "apps.processors.pdf.PdfProcessor",
    "apps.processors.office.OfficeProcessor",
    "apps.processors.sheets.SheetProcessor",
    "apps.processors.html.HtmlProcessor",
    "apps.processors.text.TextProcessor",
    "apps.processors.mail.MailProcessor",
    "apps.processors.outlook.OutlookProcessor",
    "apps.processors.image.ImageProcessor",
    "apps.processors.zipped.ZipProcessor",
]
OCR_LANGUAGES = env.list("OCR_LANGUAGES", default=["eng"])
SEARCHABLE_PDF = env.bool("SEARCHABLE_PDF", default=False)
PROCESSING_TIMEOUT_SECONDS = env.int("PROCESSING_TIMEOUT_SECONDS", default=30 * 60)
PROCESSING_SILENCE_SECONDS = env.int("PROCESSING_SILENCE_SECONDS", default=5 * 60)
PROCESSING_MEMORY_BYTES = env.int("PROCESSING_MEMORY_BYTES", default=1536 * 1024 * 1024)

# --- virus scanner (optional): clamd, asked about each file before it is read --------------------

CLAMAV_URL = env("CLAMAV_URL", default="")
CLAMAV_FAIL_OPEN = env.bool("CLAMAV_FAIL_OPEN", default=False)

# --- rate limits: `100/min, 1000/h`; `unlimited` turns one off -----------------------------------

ENABLE_RATE_LIMITING = env.bool("ENABLE_RATE_LIMITING", default=True)
# Apart from the caches: a server that evicts keys gives everybody a new budget. `memory` counts in
# each process by itself.
LIMITS_REDIS_URL = env("LIMITS_REDIS_URL", default="") or REDIS_URL
LIMITS_FAIL_CLOSED = env.list("LIMITS_FAIL_CLOSED", default=[])
# An address that is refused again and again is blocked by a rule, which an operator can remove.
LIMITS_BLOCK_ABUSE = env.bool("LIMITS_BLOCK_ABUSE", default=False)
LIMIT_AUTH = env("LIMIT_AUTH", default="5/15min")
LIMIT_API = env("LIMIT_API", default="20/s, 100/min, 1000/h")
LIMIT_LIVE = env("LIMIT_LIVE", default="120/min")
LIMIT_ANONYMOUS = env("LIMIT_ANONYMOUS", default="10/min")
LIMIT_SEARCH = env("LIMIT_SEARCH", default="20/min")
LIMIT_CHAT = env("LIMIT_CHAT", default="10/min")
LIMIT_AI = env("LIMIT_AI", default="20/min")
LIMIT_DEEP_ANALYSIS = env("LIMIT_DEEP_ANALYSIS", default="5/min")
LIMIT_COST_ANALYSIS = env("LIMIT_COST_ANALYSIS", default="10/min")
LIMIT_OCR = env("LIMIT_OCR", default="50/h")
LIMIT_BATCH_UPLOAD = env("LIMIT_BATCH_UPLOAD", default="3/h")
LIMIT_UPLOAD = env("LIMIT_UPLOAD", default="5/h")
LIMIT_SHARE = env("LIMIT_SHARE", default="50/day")
LIMIT_GLOBAL = env("LIMIT_GLOBAL", default="6000/min")
# In front of the pages that anybody may open, per address: django-ratelimit's, coarse.
LIMIT_GUARD = env("LIMIT_GUARD", default="60/min")
# X-Forwarded-For is read only where the request comes from one of these networks (`unix`: through a
# socket), and at most so many of its entries.
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=1)

# --- queue --------------------------------------------------------------------------------------

QUEUE_HANDLERS = [
    "apps.jobs.handler.BatchFileHandler",
    "apps.queue.work_items.WorkItemHandler",
]
# Background work by kind: the function that does it.
WORK_KINDS = {
    "jobs.bulk": "apps.jobs.bulk.run",
    "mail.reset": "apps.web.mails.send_reset",
    "mail.sign-up": "apps.web.mails.send_sign_up",
}
# How many rows of a lane may run at once over all workers.
QUEUE_LANES = {
    "default": env.int("DEFAULT_CONCURRENCY", default=3),
    "ocr": env.int("OCR_CONCURRENCY", default=2),
    "heavy": env.int("HEAVY_CONCURRENCY", default=1),
    "email": env.int("EMAIL_CONCURRENCY", default=5),
    "sync": env.int("SYNC_CONCURRENCY", default=1),
    "export": env.int("EXPORT_CONCURRENCY", default=3),
    "analytics": env.int("ANALYTICS_CONCURRENCY", default=2),
    "ai": env.int("AI_CONCURRENCY", default=2),
}
LEASE_SECONDS = env.float("LEASE_SECONDS", default=30)
LEASE_RENEW_SECONDS = env.float("LEASE_RENEW_SECONDS", default=5)
SWEEP_SECONDS = env.float("SWEEP_SECONDS", default=5)
SHUTDOWN_GRACE_SECONDS = env.float("SHUTDOWN_GRACE_SECONDS", default=25)
RETRY_BASE_SECONDS = env.float("RETRY_BASE_SECONDS", default=30)

# --- Celery: carries doorbells only. `apps/queue/checks.py` refuses to start without the lines ----
# --- marked (checked); each steers around a fault of Celery or kombu 5.7. -------------------------

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # (checked) With acknowledgement emulation a Redis disconnect can end the worker with an
    # AttributeError; a lost doorbell costs latency only, so nothing is gained by it.
    "ack_emulation": False,
    # (checked) Without these a half-open connection wedges the worker for good.
    **REDIS_SOCKET_OPTIONS,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "global_keyprefix": "docmill:",
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # never give up (checked)
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # a busy slot keeps no doorbell from an idle one (checked)
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # would redeliver a poison file for ever (checked)
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # its pub/sub connection dies silently (checked)
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # (checked)
CELERY_TASK_PUBLISH_RETRY = False  # a web request does not wait for a broker that is away (checked)
CELERY_RESULT_BACKEND = None  # (checked)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]  # no pickle from a shared store (checked)
CELERY_TASK_CREATE_MISSING_QUEUES = False  # a typo in a lane fails loudly
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_QUEUES = {lane: {"exchange": lane, "routing_key": lane} for lane in QUEUE_LANES}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_TIMEZONE = TIME_ZONE
# Recurring work. `manage.py beat` calls each function in its own process; seconds between calls.
# `label` and `does` are what the admin shows of it.
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "apps.queue.sweep.sweep",
        "schedule": SWEEP_SECONDS,
        "options": {
            "label": "Sweep the queue",
            "does": "Takes files back from workers that are gone, and rings for those that wait.",
        },
    },
    "raise_priorities": {
        "task": "apps.queue.sweep.raise_priorities",
        "schedule": 60.0,
        "options": {
            "label": "Raise priorities",
            "does": "Moves files that have waited long forward, so that low priority ends too.",
        },
    },
    "forget_workers": {
        "task": "apps.queue.sweep.forget_workers",
        "schedule": 600.0,
        "options": {
            "label": "Forget workers",
            "does": "Removes workers from the list that were not heard of for ten minutes.",
        },
    },
    "count_throughput": {
        "task": "apps.queue.throughput.roll_up",
        "schedule": 60.0,
        "options": {
            "label": "Count what ended",
            "does": "Adds up the attempts of each minute for the charts of the board.",
        },
    },
    "count_limits": {
        "task": "apps.ratelimits.statistics.fold",
        "schedule": 60.0,
        "options": {
            "label": "Count limits",
            "does": "Keeps what the limits allowed and refused for the charts, and forgets rules "
            "that ended long ago.",
        },
    },
    "cleanup": {
        "task": "apps.jobs.cleanup.cleanup",
        "schedule": 3600.0,
        "options": {
            "label": "Clean up",
            "does": "Removes jobs past their time, old bulk actions, request keys and sessions.",
        },
    },
    "remove_orphans": {
        "task": "apps.jobs.storage.remove_orphans",
        "schedule": 86400.0,
        "options": {
            "label": "Remove lost bytes",
            "does": "Removes stored bytes that no file uses, which a killed process may leave.",
        },
    },
    "remove_stale_uploads": {
        "task": "apps.jobs.storage.remove_stale_uploads",
        "schedule": 3600.0,
        "options": {
            "label": "Remove broken uploads",
            "does": "Removes what uploads left that ended before they were whole, after a day.",
        },
    },
    "trim_previews": {
        "task": "apps.jobs.previews.trim",
        "schedule": 600.0,
        "options": {
            "label": "Trim previews",
            "does": "Keeps the pictures of pages within PREVIEW_CACHE_BYTES, those seen last.",
        },
    },
}

# --- logs and errors ----------------------------------------------------------------------------

LOG_LEVEL = env("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "apps.core.middleware.RequestIdFilter"},
        "without_traceback": {"()": "apps.core.middleware.WithoutTraceback"},
    },
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"}
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["request_id"],
            "formatter": "line",
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # A line for every sweep, every five seconds, would bury the rest.
        "celery": {"level": "WARNING"},
        # Scanners send any Host; the line names it, and where it was raised is always the same.
        "django.security.DisallowedHost": {"filters": ["without_traceback"]},
    },
}

SENTRY_DSN = env("SENTRY_DSN", default="")
if SENTRY_DSN:
    import sentry_sdk

    sentry_sdk.init(
        dsn=SENTRY_DSN,
        environment=ENVIRONMENT,
        release=f"docmill@{VERSION}",
        traces_sample_rate=env.float("SENTRY_TRACES_SAMPLE_RATE", default=0.0),
        send_default_pii=False,
        include_local_variables=False,  # they would carry document text
        max_request_body_size="never",
    )
