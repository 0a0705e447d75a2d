"""Where one is signed in, and ending it."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.actor import Actor
from apps.accounts.services import end_other_sessions, end_sessions, know_session, sessions_of
from apps.core.errors import NotFound
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.job import asking
from apps.web.questions import Question
from apps.web.words import browser_named

HERE = "web:settings-sessions"


@require_safe
@limited("api")
@members_only
def sessions(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The list; the one that asks comes first."""
    key = request.session.session_key or ""
    know_session(user=actor.user, session_key=key, agent=request.headers.get("User-Agent", ""))
    found = [
        (each, browser_named(each.agent), each.session_id == key)
        for each in sessions_of(actor.user)
    ]
    found.sort(key=lambda row: not row[2])
    return render(request, "web/settings/sessions.html", {"rows": found})


@asking
@limited("api")
@members_only
def end(request: HttpRequest, actor: Actor, session_id: UUID) -> HttpResponse:
    """Asks, then ends one. Raises NotFound for what is none of one's own."""
    found = next((each for each in sessions_of(actor.user) if each.pk == session_id), None)
    if found is None:
        raise NotFound("There is no such session, or it has ended.")
    is_this = found.session_id == request.session.session_key
    if request.method != "POST":
        name = browser_named(found.agent)
        who = "You have" if is_this else "Whoever uses that browser has"
        question = Question(
            name="end",
            heading="Sign out here?" if is_this else f"Sign out {name}?",
            text=f"{who} to sign in again. API keys go on working.",
            yes="Sign out",
            no="Stay signed in",
            url=reverse("web:settings-sessions-end", args=[found.pk]),
            back=reverse(HERE),
            is_danger=True,
        )
        return _ask(request, actor, question)
    end_sessions(user=actor.user, sessions=[found])
    if is_this:
        logout(request)
        messages.info(request, "You are signed out.")
        return redirect("web:sign-in")
    messages.success(request, "That browser is signed out.")
    return redirect(HERE)


@asking
@limited("api")
@members_only
def end_others(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Asks, then ends all but the one that asks."""
    here = request.session.session_key or ""
    others = [each for each in sessions_of(actor.user) if each.session_id != here]
    if request.method == "POST":
        ended = end_other_sessions(user=actor.user, session_key=here)
        messages.success(request, f"Signed out elsewhere: {ended}.")
        return redirect(HERE)
    if not others:
        messages.info(request, "You are signed in nowhere else.")
        return redirect(HERE)
    question = Question(
        name="end-others",
        heading="Sign out everywhere else?",
        text=f"Other sessions of yours: {len(others)}. Whoever uses those browsers has to sign in "
        "again. API keys go on working; if somebody may know your password, change it as well.",
        yes="Sign out everywhere else",
        no="Leave them",
        url=reverse("web:settings-sessions-others"),
        back=reverse(HERE),
        is_danger=True,
    )
    return _ask(request, actor, question)


def _ask(request: HttpRequest, actor: Actor, question: Question) -> HttpResponse:
    told = {"question": question, "whose": actor.user.email}
    return render(request, "web/settings/confirm.html", told)
