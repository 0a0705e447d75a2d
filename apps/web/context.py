"""What every page needs around its content: who, where, and how they like it."""

from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden
from apps.accounts.models import Organization, User
from apps.notifications.badge import Badge

SETTINGS = "settings"
TABS = {
    "settings-profile": "Profile",
    "settings-sessions": "Signed in",
    "notification-preferences": "Notifications",
    "settings-members": "Members",
    "settings-keys": "API keys",
    "webhooks": "Webhooks",
    "settings-organization": "Organization",
    "settings-audit": "Audit log",
    "settings-account": "Your data",
}
"""Route -> label, in the order of the page. Pages of the same part have routes that begin alike."""
THEMES = ("system", "light", "dark")
SIDEBARS = ("expanded", "collapsed")


@dataclass(frozen=True)
class Preferences:
    """How a browser likes its pages, from its own cookies: right at first paint."""

    theme: str
    sidebar: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Preferences":
        theme = request.COOKIES.get("theme", "")
        sidebar = request.COOKIES.get("sidebar", "")
        return cls(
            theme if theme in THEMES else THEMES[0],
            sidebar if sidebar in SIDEBARS else SIDEBARS[0],
        )


class Shell:
    """The frame of a page. What costs a query is asked only by the page that shows it."""

    themes = THEMES

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.preferences = Preferences.of(request)

    @cached_property
    def actor(self) -> Actor | None:
        """Who is signed in, where they work; None for nobody, or a member of nothing."""
        user = getattr(self._request, "user", None)
        if not isinstance(user, User):
            return None
        try:
            return Actor.of_request(self._request)
        except Forbidden:
            return None

    @cached_property
    def organizations(self) -> list[Organization]:
        """Those that can be switched to, by name."""
        user = self.actor.user if self.actor else None
        if user is None:
            return []
        return list(Organization.objects.visible_to(user).order_by(Lower("name"), "pk"))

    @cached_property
    def badge(self) -> Badge | None:
        """What the bell says; None where there is no bell."""
        return Badge.of(self.actor) if self.actor and settings.ENABLE_NOTIFICATIONS else None

    @property
    def may_submit(self) -> bool:
        """Nobody is offered what would be refused: see `is_batch_off`."""
        may = self.actor is not None and self.actor.may("create", "jobs")
        return may and not self.is_batch_off

    @property
    def has_webhooks(self) -> bool:
        may = self.actor is not None and self.actor.may("update", "webhooks")
        return may and bool(settings.ENABLE_WEBHOOKS)

    @property
    def is_batch_off(self) -> bool:
        return not settings.ENABLE_BATCH

    @property
    def may_sign_up(self) -> bool:
        return bool(settings.ENABLE_SIGNUP)

    @property
    def section(self) -> str:
        """Which entry of the navigation the page belongs to."""
        match = self._request.resolver_match
        if match and match.namespace != "web":
            return "api"
        name = (match.url_name or "") if match else ""
        if name.startswith((SETTINGS, "webhook", "notification-preferences")):
            return SETTINGS
        if name.startswith("notification"):
            return "notifications"
        return "jobs" if name.startswith(("job", "file", "export")) else name

    @property
    def settings_tabs(self) -> list[tuple[str, str, bool]]:
        """(address, label, whether the page is of it) for each part of the settings."""
        match = self._request.resolver_match
        here = (match.url_name or "") if match else ""
        hidden = {
            "webhooks": not self.has_webhooks,
            "notification-preferences": not settings.ENABLE_NOTIFICATIONS,
        }
        return [
            (reverse(f"web:{name}"), label, here.startswith(name.removesuffix("s")))
            for name, label in TABS.items()
            if not hidden.get(name)
        ]


def shell(request: HttpRequest) -> dict[str, Shell]:
    """Django's context processor: `shell` in every template."""
    return {"shell": Shell(request)}
