"""Every setting of Docmill, from the environment, with defaults that run on a laptop.

`.env.example` lists each variable with its unit and effect. Defaults live here and nowhere else.
"""

from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from apps.core.turned_away import SUSPICIOUS
from config.env import (
    Environment,
    at_least_warning,
    data_dir,
    embedded_socket,
    generated_secret,
    log_format,
    origin_of,
)

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

env = Environment()
Environment.read_env(env("ENV_FILE", default=str(BASE_DIR / ".env")))

DOCMILL_DATA_DIR = data_dir(
    env("DOCMILL_DATA_DIR", default=str(BASE_DIR / "data")), "DOCMILL_DATA_DIR"
)
ENVIRONMENT = env("ENVIRONMENT", default="laptop")
LOG_FORMAT = log_format(env("LOG_FORMAT", default="auto"), ENVIRONMENT)
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env("SECRET_KEY", default="") or generated_secret(DOCMILL_DATA_DIR / "secret_key")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    # Without looking for each app's admin: config.urls does, which workers and beat never load.
    "django.contrib.admin.apps.SimpleAdminConfig",
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
    "apps.caching",
    "apps.accounts",
    "apps.queue",
    "apps.ratelimits",
    "apps.processors",
    "apps.webhooks",
    "apps.notifications",
    "apps.jobs",
    "apps.backups",
    "apps.health",
    "apps.web",
]

MIDDLEWARE = [
    "apps.core.middleware.RequestIdMiddleware",
    "apps.core.middleware.TimeLimits",
    # These say what browsers are to refuse, so they come before whatever answers by itself.
    "apps.core.middleware.DefaultHeaders",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "apps.health.middleware.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.core.pool.GivesBack",
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
FILE_UPLOAD_HANDLERS = ["apps.core.bodies.NoLargeFiles"]
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
    _database["ENGINE"] = "apps.core.postgres"  # Django's own, with a pool where it is wanted
_database["CONN_MAX_AGE"] = 60
# Of each process that serves requests, on PostgreSQL: see apps/core/pool.py.
DB_MAX_CONNECTIONS = env.int("DB_MAX_CONNECTIONS", default=10)
DATABASE_POOL = {
    "min_size": min(env.int("DB_MIN_CONNECTIONS", default=2), DB_MAX_CONNECTIONS),
    "max_size": DB_MAX_CONNECTIONS,
    "timeout": env.int("DB_CONNECTION_TIMEOUT", default=30_000) / 1000,  # from milliseconds
    "max_idle": env.int("DB_IDLE_TIMEOUT", default=300_000) / 1000,  # the same
}
# How long the web processes try to answer; apps/core/deadline.py says what is not counted.
REQUEST_TIMEOUT_SECONDS = env.float("REQUEST_TIMEOUT_SECONDS", default=30)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis or Valkey: doorbells and caches, never the truth -------------------------------------

EMBEDDED_SOCKET = embedded_socket(DOCMILL_DATA_DIR)
REDIS_URL = env("REDIS_URL", default="") or f"unix://{EMBEDDED_SOCKET}"
REDIS_SOCKET_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 3}
# Its server may evict. `memory` keeps values in each process by itself.
CACHE_REDIS_URL = env("CACHE_REDIS_URL", default="") or REDIS_URL
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "docmill",
        "OPTIONS": {"CONNECTION_POOL_KWARGS": REDIS_SOCKET_OPTIONS},
    },
    # Of apps.caching.
    "values": {
        "BACKEND": "apps.caching.memory_cache.MemoryCache"
        if CACHE_REDIS_URL == "memory"
        else "apps.caching.shared_cache.SharedCache",
        "LOCATION": CACHE_REDIS_URL,
    },
    # Of django-ratelimit: counts where the limits do, and in memory while that is away.
    "guard": {
        "BACKEND": "apps.ratelimits.guard_cache.GuardCache",
        "LOCATION": "guard",
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    },
}
RATELIMIT_USE_CACHE = "guard"

# --- cache: `10min` is fresh for ten minutes and stale for ten more; `10min + 1h`; `off` ----------

ENABLE_CACHING = env.bool("ENABLE_CACHING", default=True)
CACHE_ANALYSIS = env("CACHE_ANALYSIS", default="1h")
CACHE_METRICS = env("CACHE_METRICS", default="5min")
CACHE_SEARCH = env("CACHE_SEARCH", default="3min")
CACHE_METADATA = env("CACHE_METADATA", default="5min")
CACHE_TEXT = env("CACHE_TEXT", default="10min")
CACHE_EMBEDDINGS = env("CACHE_EMBEDDINGS", default="1h")
CACHE_DEFAULT = env("CACHE_DEFAULT", default="10min")
# What a process keeps by itself: while Redis is away, and where there is none.
CACHE_LOCAL_ENTRIES = env.int("CACHE_LOCAL_ENTRIES", default=2000)
CACHE_LOCAL_BYTES = env.int("CACHE_LOCAL_BYTES", default=16 * 1024 * 1024)

# --- accounts -----------------------------------------------------------------------------------

DOCMILL_ADMIN_EMAIL = env("DOCMILL_ADMIN_EMAIL", default="admin@localhost")

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.viewers.Backend"]
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

# --- audit log ----------------------------------------------------------------------------------

# Ed25519: 32 bytes in base64, or PEM. With it the ends of the logs are signed.
AUDIT_SIGNING_KEY = env("AUDIT_SIGNING_KEY", default="") or generated_secret(
    DOCMILL_DATA_DIR / "audit_key", 32
)
AUDIT_PUBLIC_KEYS = env.list("AUDIT_PUBLIC_KEYS", default=[])
AUDIT_CHECKPOINT_SECONDS = env.float("AUDIT_CHECKPOINT_SECONDS", default=3600)

# --- web ----------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = "config.formats"
TIME_ZONE = "UTC"
USE_TZ = True
LOGIN_URL = "web:sign-in"
LOGIN_REDIRECT_URL = "web:dashboard"
# The address of a CDN that fetches from this installation, or of the path here.
STATIC_URL = env("STATIC_URL", default="static/")
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = data_dir(env("STATIC_ROOT", default=str(DOCMILL_DATA_DIR / "static")), "STATIC_ROOT")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "apps.core.statics.StaticFiles"},
}

# --- mail: `smtp+tls://user:password@host:587`; onto the console by default ---------------------

_mail = env.email_url("EMAIL_URL", default="consolemail://")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
if LOG_FORMAT == "json" and EMAIL_BACKEND.endswith(".console.EmailBackend"):
    EMAIL_BACKEND = "apps.core.unsent.UnsentMail"  # a log has no links that open doors
EMAIL_HOST = _mail.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _mail.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _mail.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = _mail.get("EMAIL_FILE_PATH") or ""
EMAIL_TIMEOUT = 20  # seconds
# At what address people reach this installation: links in notifications and webhooks lead there.
PUBLIC_URL = env("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
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
_static_origins = [origin] if (origin := origin_of(STATIC_URL)) else []
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, *_static_origins],
        "style-src": [SELF, *_static_origins],
        "img-src": [SELF, *_static_origins],
        "font-src": [SELF, *_static_origins],
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
# Browsers take fonts and modules from a CDN only where it says that they may.
WHITENOISE_ALLOW_ALL_ORIGINS = bool(_static_origins)
CORS_ALLOW_HEADERS = [
    "Accept",
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "If-Range",
    "Range",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-Request-ID",
]
CORS_EXPOSE_HEADERS = [
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Offset",
    "X-Cache",
    "X-Expires-At",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
    "X-Results-Complete",
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "apps.core.bodies.ShallowJson",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
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
        "EndpointStateEnum": "apps.webhooks.models.EndpointState.choices",
        "DeliveryStateEnum": "apps.webhooks.models.DeliveryState.choices",
    },
}

# --- batches ------------------------------------------------------------------------------------

ENABLE_BATCH = env.bool("ENABLE_BATCH", default=True)
BATCH_MAX_FILES = env.int("BATCH_MAX_FILES", default=50)
BATCH_MAX_FOUND = env.int("BATCH_MAX_FOUND", default=1000)
BATCH_MAX_FILE_BYTES = env.int("BATCH_MAX_FILE_BYTES", default=50 * 1024 * 1024)
BATCH_MAX_UPLOADS = env.int("BATCH_MAX_UPLOADS", default=100)
BATCH_MAX_UPLOAD_BYTES = env.int("BATCH_MAX_UPLOAD_BYTES", default=10 * 1024**3)
STORAGE_MIN_FREE_BYTES = env.int("STORAGE_MIN_FREE_BYTES", default=1024**3)
STORAGE_MIN_FREE_PERCENT = env.int("STORAGE_MIN_FREE_PERCENT", default=5)
# Where bytes lie: in DOCMILL_DATA_DIR, or s3://bucket/prefix?endpoint=https://...&region=...
STORAGE_URL = env("STORAGE_URL", default="")
S3_PUBLIC_ENDPOINT = env("S3_PUBLIC_ENDPOINT", default="")
S3_LINK_SECONDS = env.int("S3_LINK_SECONDS", default=300)
S3_CACHE_BYTES = env.int("S3_CACHE_BYTES", default=1024**3)
PREVIEW_CACHE_BYTES = env.int("PREVIEW_CACHE_BYTES", default=1024**3)
RESULT_RETENTION_DAYS = env.int("RESULT_RETENTION_DAYS", default=30)
EXPORT_RETENTION_DAYS = env.int("EXPORT_RETENTION_DAYS", default=7)
EXPORT_MAX_BYTES = env.int("EXPORT_MAX_BYTES", default=10 * 1024**3)
EXPORT_DIRECT_BYTES = env.int("EXPORT_DIRECT_BYTES", default=32 * 1024 * 1024)

# --- backups ------------------------------------------------------------------------------------

# Where `manage.py backup` puts them: better another disk, or one that others copy from.
BACKUP_DIR = env("BACKUP_DIR", default=str(DOCMILL_DATA_DIR / "backups"))
BACKUP_KEEP = env.int("BACKUP_KEEP", default=7)
# Hours between two that are made by themselves; 0: none are.
BACKUP_EVERY = env.float("BACKUP_EVERY", default=0)

# --- metrics ------------------------------------------------------------------------------------

ENABLE_METRICS = env.bool("ENABLE_METRICS", default=True)
# Who writes into the same folder is told of together.
METRICS_DIR = Path(env("METRICS_DIR", default=str(DOCMILL_DATA_DIR / "metrics"))).absolute()
METRICS_TOKEN = env("METRICS_TOKEN", default="")
METRICS_ALLOWED_NETWORKS = env.list("METRICS_ALLOWED_NETWORKS", default=[])
SLOW_QUERY_MS = env.float("SLOW_QUERY_MS", default=1000)

# --- notifications ------------------------------------------------------------------------------

ENABLE_NOTIFICATIONS = env.bool("ENABLE_NOTIFICATIONS", default=True)
NOTIFICATION_RETENTION_DAYS = env.int("NOTIFICATION_RETENTION_DAYS", default=90)

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

# --- live events: streams that stay open, each for a while ----------------------------------------

LIVE_STREAMS_PER_USER = env.int("LIVE_STREAMS_PER_USER", default=20)
LIVE_STREAM_SECONDS = env.int("LIVE_STREAM_SECONDS", default=15 * 60)
LIVE_RECHECK_SECONDS = env.float("LIVE_RECHECK_SECONDS", default=60)

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

# --- what goes out: webhooks --------------------------------------------------------------------

# Requests to addresses that people name go to public networks, and to these.
OUTGOING_ALLOWED_NETWORKS = env.list("OUTGOING_ALLOWED_NETWORKS", default=[])
ENABLE_WEBHOOKS = env.bool("ENABLE_WEBHOOKS", default=True)
WEBHOOK_TIMEOUT_SECONDS = env.float("WEBHOOK_TIMEOUT_SECONDS", default=10)
WEBHOOK_RETRY_SECONDS = env.list(
    "WEBHOOK_RETRY_SECONDS",
    cast=float,
    default=[5, 30, 120, 600, 3600, 3 * 3600, 6 * 3600, 12 * 3600],
)

# --- queue --------------------------------------------------------------------------------------

QUEUE_HANDLERS = [
    "apps.jobs.handler.BatchFileHandler",
    "apps.queue.work_items.WorkItemHandler",
]
# Background work by kind: the function that does it.
WORK_KINDS = {
    "backups.make": "apps.backups.recurring.run",
    "jobs.bulk": "apps.jobs.bulk.run",
    "jobs.export": "apps.jobs.exporting.run",
    "mail.notifications": "apps.notifications.mails.send",
    "mail.address": "apps.web.mails.send_address",
    "mail.invitation": "apps.web.mails.send_invitation",
    "mail.moved": "apps.web.mails.send_moved",
    "mail.reset": "apps.web.mails.send_reset",
    "mail.sign-up": "apps.web.mails.send_sign_up",
    "webhooks.deliver": "apps.webhooks.sending.deliver",
}
# What apps keep of organizations and people: how it is removed, and handed out to them. Those that
# rest on others come first.
BELONGINGS = [
    "apps.webhooks.belongings.WebhookBelongings",
    "apps.jobs.belongings.JobBelongings",
    "apps.notifications.belongings.NotificationBelongings",
    "apps.queue.belongings.WorkBelongings",
]
# What an app tells those above it, by event: functions that are called in its transaction.
LISTENERS = {
    "notified": ["apps.webhooks.listening.notified"],
    "member_added": ["apps.notifications.listening.member_added"],
    "queue_paused": ["apps.jobs.telling.queue_paused"],
    "queue_resumed": ["apps.jobs.telling.queue_resumed"],
    "webhook_deleted": ["apps.notifications.listening.webhook_deleted"],
    "webhook_disabled": ["apps.notifications.listening.webhook_disabled"],
    "webhook_enabled": ["apps.notifications.listening.webhook_enabled"],
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
# How many of them of one organization, where an operator has not set another number for the lane.
# What is sent to a stranger's machine may take as long as it is given: of two slots, which serve
# the small lanes, one is left for mails, exports and the messages of others.
QUEUE_LANES_EACH = {"email": 1}
LEASE_SECONDS = env.float("LEASE_SECONDS", default=30)
LEASE_RENEW_SECONDS = env.float("LEASE_RENEW_SECONDS", default=5)
SWEEP_SECONDS = env.float("SWEEP_SECONDS", default=5)
# A worker shows itself three times as often.
WORKER_SILENT_SECONDS = env.float("WORKER_SILENT_SECONDS", default=30)
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
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
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
    "send_webhooks": {
        "task": "apps.webhooks.outbox.send_waiting",
        "schedule": 60.0,
        "options": {
            "label": "Send webhooks",
            "does": "Puts messages in line that nobody is sending: those written while "
            "ENABLE_WEBHOOKS was off.",
        },
    },
    "sign_audit_log": {
        "task": "apps.audit.checkpoints.make_checkpoints",
        "schedule": AUDIT_CHECKPOINT_SECONDS,
        "options": {
            "label": "Sign the audit log",
            "does": "Signs the end of each audit log that has grown, so that no entry of it can be "
            "changed or taken away unseen.",
        },
    },
    "mail_notifications": {
        "task": "apps.notifications.mails.hand_over",
        "schedule": 5.0,
        "options": {
            "label": "Mail notifications",
            "does": "Puts mails of notifications in line, one for each person, once they are due.",
        },
    },
    "forget_notifications": {
        "task": "apps.notifications.cleanup.forget_old",
        "schedule": 86400.0,
        "options": {
            "label": "Forget notifications",
            "does": "Removes notifications that are older than NOTIFICATION_RETENTION_DAYS.",
        },
    },
    "cleanup": {
        "task": "apps.jobs.cleanup.cleanup",
        "schedule": 3600.0,
        "options": {
            "label": "Clean up",
            "does": "Removes jobs and exports past their time, old bulk actions, request keys, "
            "sessions and what was sent to webhooks.",
        },
    },
    "remove_closed": {
        "task": "apps.accounts.services.remove_closed",
        "schedule": 60.0,
        "options": {
            "label": "Remove closed organizations",
            "does": "Removes what organizations own that were deleted, and then these themselves.",
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
        "task": "apps.jobs.leftovers.remove_stale_uploads",
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
if BACKUP_EVERY:
    CELERY_BEAT_SCHEDULE["backup"] = {
        "task": "apps.backups.recurring.ask_for_backup",
        "schedule": BACKUP_EVERY * 3600.0,
        "options": {
            "label": "Back up",
            "does": "Has a worker make a backup in BACKUP_DIR, and keep the newest BACKUP_KEEP.",
        },
    }

# --- logs and errors ----------------------------------------------------------------------------

LOG_LEVEL = env("LOG_LEVEL", default="INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "of_request": {"()": "apps.core.logs.OfRequest"},
        "turned_away": {"()": "apps.core.turned_away.TurnedAway"},
    },
    "formatters": {"line": {"()": "apps.core.logs.formatter", "form": LOG_FORMAT}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    # Libraries tell what goes wrong: what they say besides holds addresses with what stands in
    # them, headers and statements with their values.
    "root": {"handlers": ["console"], "level": at_least_warning(LOG_LEVEL)},
    "loggers": {
        "apps": {"level": LOG_LEVEL},
        "docmill": {"level": LOG_LEVEL},
        # A line for every sweep, every five seconds, would bury the rest.
        "celery": {"level": at_least_warning(LOG_LEVEL)},
        # The access log has every answer below 500.
        "django.request": {"level": "ERROR", "filters": ["of_request"]},
        "django.security.csrf": {"filters": ["of_request"]},
        # Scanners send any Host and any form.
        **{f"django.security.{name}": {"filters": ["turned_away"]} for name in SUSPICIOUS},
    },
}
# Each is told of every request once its answer has ended: apps.core.exchange.
REQUEST_LISTENERS = ["apps.core.access.write", "apps.core.metrics.count_request"]

# Traces, where the extra `otel` is installed. What else there is to say to OpenTelemetry is said in
# its own variables.
OTEL_EXPORTER_OTLP_ENDPOINT = env("OTEL_EXPORTER_OTLP_ENDPOINT", default="")

SENTRY_DSN = env("SENTRY_DSN", default="")
SENTRY_TRACES_SAMPLE_RATE = env.float("SENTRY_TRACES_SAMPLE_RATE", default=0.0)
if SENTRY_DSN:
    # Not earlier: it takes a while, and whoever has no address to send to need not wait.
    from apps.core import reporting

    reporting.start(
        dsn=SENTRY_DSN,
        environment=ENVIRONMENT,
        version=VERSION,
        traces_sample_rate=SENTRY_TRACES_SAMPLE_RATE,
    )
