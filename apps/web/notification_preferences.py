"""What somebody wants to be told, and where."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.actor import Actor
from apps.core.errors import InvalidInput
from apps.notifications.errors import require_enabled
from apps.notifications.kinds import KINDS, Kind
from apps.notifications.preferences import Choice, Mail
from apps.notifications.services import choices_of, has_webhooks, set_choices
from apps.ratelimits.decorators import limited
from apps.web.access import members_only

MAIL_WORDS = {
    Mail.NEVER: "No mail",
    Mail.AT_ONCE: "At once",
    Mail.HOURLY: "Once an hour",
    Mail.DAILY: "Once a day",
}


@dataclass(frozen=True)
class Row:
    kind: Kind
    choice: Choice


@require_http_methods(["GET", "HEAD", "POST"])
@limited("api")
@members_only
def preferences(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page, and what it sends. Raises InvalidInput for what it would not send."""
    require_enabled()
    before = choices_of(actor.user)
    if request.method == "POST":
        chosen = {kind: _chosen(request.POST, kind, before[kind]) for kind in KINDS}
        set_choices(user=actor.user, choices=chosen)
        messages.success(request, "Kept. It counts from now on.")
        return redirect("web:notification-preferences")
    known = {
        "rows": [Row(KINDS[kind], choice) for kind, choice in before.items()],
        "mails": [(str(mail), words) for mail, words in MAIL_WORDS.items()],
        "has_webhooks": has_webhooks(),
    }
    return render(request, "web/notification_preferences.html", known)


def _chosen(given: QueryDict, kind: str, before: Choice) -> Choice:
    mail = given.get(f"mail-{kind}", "")
    if mail not in map(str, Mail):
        raise InvalidInput(f"Say when to mail what is of the kind {KINDS[kind].label}.")
    webhook = f"webhook-{kind}" in given if has_webhooks() else before.webhook
    return Choice(f"in_app-{kind}" in given, Mail(mail), webhook)
