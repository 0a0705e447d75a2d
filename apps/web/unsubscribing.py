"""Where the links of mails lead that end them: no sign-in, and one click of a mail program."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.core.errors import NotFound
from apps.notifications.kinds import KINDS
from apps.notifications.unsubscribing import meant_by, stop_mails
from apps.ratelimits.guard import guarded
from apps.ratelimits.requests import count


# Mail programs send the form by themselves (RFC 8058) and have no token of ours; who has the link
# can do no more than it says.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@guarded("unsubscribe")
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Asks, or does it. Raises NotFound for a link that is not good, which counts.

    It works while notifications are switched off as well: they may be switched on again.
    """
    try:
        user, kinds = meant_by(token)
    except NotFound:
        count(request, "anonymous")
        raise
    is_done = request.method == "POST"
    if is_done:
        stop_mails(user, kinds)
    labels = [KINDS[kind].label for kind in kinds if kind in KINDS]
    known = {"label": labels[0] if len(kinds) == 1 and labels else "", "is_done": is_done}
    return render(request, "web/unsubscribe.html", known)


unsubscribe.limiters = ()  # type: ignore[attr-defined]  # a note on the function
unsubscribe.counted_within = ("anonymous",)  # type: ignore[attr-defined]
