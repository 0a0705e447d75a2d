"""API keys: one's own, and for owners and admins everybody's."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.errors import TooMany
from apps.accounts.models import ApiKey
from apps.accounts.reading import key_of, keys_seen_by
from apps.accounts.roles import Role, up_to
from apps.accounts.services import make_key, revoke_key
from apps.core.errors import InvalidInput
from apps.core.sealing import Unsealable, seal, unseal
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.job import asking
from apps.web.questions import Question
from apps.web.settings.forms import KeyForm
from apps.web.settings.paging import page_of

HERE = "web:settings-keys"
NEW = "new_key"
"""Where the session keeps a token until the next page has shown it, sealed: (key's id, token)."""
PURPOSE = "token of a new key"


@asking
@limited("api")
@members_only
def keys(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page, with the token of a key that was just made; what is sent to it makes one."""
    if request.method != "POST":
        return _page(request, actor, KeyForm(up_to(actor.role), initial={"expires": "90"}))
    actor.require("create", "keys")
    form = KeyForm(up_to(actor.role), request.POST)
    if form.is_valid():
        life = form.life
        try:
            key, token = make_key(
                actor=actor,
                name=form.cleaned_data["label"],
                role=Role(form.cleaned_data["role"]),
                expires_at=timezone.now() + life if life else None,
            )
        except (InvalidInput, TooMany) as error:
            form.tell(error)
        else:
            request.session[NEW] = [str(key.pk), seal(token, purpose=PURPOSE)]
            return redirect(HERE)
    return _page(request, actor, form)


@asking
@limited("api")
@members_only
def revoke(request: HttpRequest, actor: Actor, key_id: UUID) -> HttpResponse:
    """Asks, then revokes. Raises NotFound or Forbidden."""
    key = key_of(actor, key_id)
    actor.require("delete", "keys", created_by_id=key.user_id)
    if request.method != "POST":
        return render(request, "web/settings/confirm.html", {"question": _question(key)})
    if revoke_key(actor=actor, key=key):
        messages.success(request, f"The key {key.name} is revoked.")
    else:
        messages.info(request, f"The key {key.name} was revoked before.")
    return redirect(HERE)


def _page(request: HttpRequest, actor: Actor, form: KeyForm) -> HttpResponse:
    seen = keys_seen_by(actor).select_related("user").order_by("-created_at", "-pk")
    page = page_of(request, seen)
    now = timezone.now()
    rows = [
        (each, _state(each), actor.may("delete", "keys", created_by_id=each.user_id))
        for each in page
    ]
    context = {
        "page": page,
        "rows": rows,
        "now": now,
        "form": form if actor.may("create", "keys") else None,
        "sees_all": actor.may("read", "keys"),
        "made": _taken(request, actor),
        "api_url": request.build_absolute_uri(reverse("api-root")),
    }
    return render(request, "web/settings/keys.html", context)


def _taken(request: HttpRequest, actor: Actor) -> tuple[ApiKey, str] | None:
    """The key that was just made and its token, which is forgotten now."""
    if request.method != "GET" or NEW not in request.session:
        return None
    pk, sealed = request.session.pop(NEW)
    key = ApiKey.objects.in_organization(actor.organization).filter(pk=pk, user=actor.user).first()
    try:
        return (key, unseal(sealed, purpose=PURPOSE)) if key else None
    except Unsealable:
        return None


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.is_expired(timezone.now()) else "good"


def _question(key: ApiKey) -> Question:
    return Question(
        name="revoke",
        heading=f"Revoke the key {key.name}?",
        text=(
            f"Programs that use {key.prefix}... are refused from their next request on. Nobody can "
            "bring it back."
        ),
        yes="Revoke the key",
        no="Keep it",
        url=reverse("web:settings-keys-revoke", args=[key.pk]),
        back=reverse(HERE),
        is_danger=True,
    )
