"""System checks: addresses and numbers that cannot be used, where requests that others ask for may
go, whether traces can be sent, and, with `check --deploy`, what is set as on a laptop and must not
be where others come."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.http.request import validate_host
from redis import ConnectionPool

from apps.core import tracing
from apps.core.addresses import parse_networks

NO_MAIL = {
    "apps.core.unsent",
    "django.core.mail.backends.console",
    "django.core.mail.backends.dummy",
}
"""Where no mail leaves the machine."""
SETTINGS = "settings"
"""Tag of the checks of what operators set, which each command of ours makes at its start."""


@register(SETTINGS)
def networks_can_be_read(**_: object) -> list[CheckMessage]:
    """core.E001: OUTGOING_ALLOWED_NETWORKS or METRICS_ALLOWED_NETWORKS names what is no network."""
    found: list[CheckMessage] = []
    for name in ("OUTGOING_ALLOWED_NETWORKS", "METRICS_ALLOWED_NETWORKS"):
        try:
            parse_networks(getattr(settings, name))
        except ValueError as error:
            hint = "Networks such as 10.1.2.0/24 or single addresses, comma-separated."
            found.append(Error(f"{name}: {error}.", hint=hint, id="core.E001"))
    return found


@register(SETTINGS)
def numbers_can_be_used(**_: object) -> list[CheckMessage]:
    """core.E003: a number that is below, or above, what makes sense."""
    pool = settings.DATABASE_POOL
    least = [
        ("DB_MAX_CONNECTIONS", pool["max_size"], 1),
        ("DB_MIN_CONNECTIONS", pool["min_size"], min(0, pool["max_size"])),
        ("DB_CONNECTION_TIMEOUT", pool["timeout"] * 1000, 1),
        ("DB_IDLE_TIMEOUT", pool["max_idle"] * 1000, 1),
        ("REQUEST_TIMEOUT_SECONDS", settings.REQUEST_TIMEOUT_SECONDS, 1),
        ("BACKUP_EVERY", settings.BACKUP_EVERY, 0),
        ("BACKUP_KEEP", settings.BACKUP_KEEP, 1),
        ("AUDIT_CHECKPOINT_SECONDS", settings.AUDIT_CHECKPOINT_SECONDS, 1),
        ("SLOW_QUERY_MS", settings.SLOW_QUERY_MS, 0),
        *((f"{lane.upper()}_CONCURRENCY", most, 0) for lane, most in settings.QUEUE_LANES.items()),
    ]
    told = [f"{name} must be at least {bound}." for name, value, bound in least if value < bound]
    if settings.SWEEP_SECONDS <= 0:
        told.append("SWEEP_SECONDS must be more than 0.")
    if not 0 <= settings.SENTRY_TRACES_SAMPLE_RATE <= 1:
        told.append("SENTRY_TRACES_SAMPLE_RATE must be between 0 and 1.")
    return [Error(each, id="core.E003") for each in told]


@register(SETTINGS)
def addresses_can_be_used(**_: object) -> list[CheckMessage]:
    """core.E004 where links lead to, E005 under what names requests are answered, E006 where Redis
    is."""
    found: list[CheckMessage] = []
    if not is_address(settings.PUBLIC_URL):
        told = "PUBLIC_URL must begin with https:// or http://, and name a host."
        found.append(Error(told, hint="Such as https://docs.example.com.", id="core.E004"))
    if not settings.ALLOWED_HOSTS and not settings.DEBUG:
        told = "ALLOWED_HOSTS is empty: every request would be answered with 400."
        hint = "Name the hosts that people use, such as docs.example.com."
        found.append(Error(told, hint=hint, id="core.E005"))
    try:
        ConnectionPool.from_url(settings.REDIS_URL)
    except ValueError as error:
        hint = "Such as redis://:password@host:6379/0, rediss:// for TLS, or unix:///path."
        found.append(Error(f"REDIS_URL: {error}.", hint=hint, id="core.E006"))
    return found


def is_address(text: str) -> bool:
    """Whether links may begin with it."""
    try:
        url = urlsplit(text)
        return url.scheme in ("https", "http") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


@register(SETTINGS)
def traces_can_be_sent(**_: object) -> list[CheckMessage]:
    """core.E002: the environment asks for traces, and the libraries for them are not there."""
    if tracing.is_wanted() and not tracing.is_installed():
        told = "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed."
        return [Error(told, hint=tracing.HINT, id="core.E002")]
    return []


@register(Tags.security, deploy=True)
def is_fit_for_others(**_: object) -> list[CheckMessage]:
    """core.W001 any host, W002 no TLS in links, W003 links that lead to the reader's own machine,
    W004 links to a host that is not served, W005 everybody has the proxy's address, W006 mails that
    nobody gets. Django's own tell of DEBUG, a weak SECRET_KEY, and what HTTPS_ONLY sets."""
    return list(_warnings())


def _warnings() -> Iterator[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        yield _warning(1, "ALLOWED_HOSTS answers under any name.", "Name the hosts people use.")
    if is_address(settings.PUBLIC_URL):  # or core.E004 tells
        yield from _of_links(urlsplit(settings.PUBLIC_URL))
    if getattr(settings, "SECURE_PROXY_SSL_HEADER", None) and not settings.TRUSTED_PROXIES:
        yield _warning(
            5,
            "HTTPS_PROXY_HEADER says that there is a proxy, and TRUSTED_PROXIES names none: all "
            "people have the proxy's address, and share the limits of one.",
            "Name the network that the proxy comes from, such as 10.0.0.0/8, or unix.",
        )
    if settings.EMAIL_BACKEND.rpartition(".")[0] in NO_MAIL:
        yield _warning(
            6,
            "EMAIL_URL sends no mail: nobody can be invited, or set a new password.",
            "Give a mail server, such as smtp+tls://user:password@host:587.",
        )


def _of_links(url: SplitResult) -> Iterator[CheckMessage]:
    host = url.hostname or ""
    if url.scheme != "https":
        yield _warning(
            2,
            "PUBLIC_URL is not https://: links in mails carry tokens in the clear.",
            "Give the address at which people reach this installation by TLS.",
        )
    if _is_own_machine(host):
        yield _warning(
            3,
            "PUBLIC_URL leads to the machine of whoever reads a mail.",
            "Give the address at which people reach this installation.",
        )
    elif not validate_host(host, settings.ALLOWED_HOSTS):
        yield _warning(4, f"PUBLIC_URL leads to {host}, which ALLOWED_HOSTS does not have.", "")


def _warning(number: int, told: str, hint: str) -> CheckMessage:
    return Warning(told, hint=hint or None, id=f"core.W{number:03}")


def _is_own_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost") or host.endswith(".localhost")
