"""An invitation and its mail: both, or nothing."""

from django.db import transaction
from django.http import HttpRequest
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.accounts.models import Invitation
from apps.accounts.roles import Role
from apps.accounts.services import invite, renew_invitation
from apps.core.transactions import repeated
from apps.web.mails import ask_for_invitation
from apps.web.tries import count_invitation


@repeated
def send_invitation(
    *, request: HttpRequest | Request, actor: Actor, email: str, role: Role
) -> Invitation:
    """Raises what `invite` does, or TooManyRequests."""
    with transaction.atomic():
        invitation = invite(actor=actor, email=email, role=role)
        _mail(request, invitation)
    return invitation


@repeated
def send_again(
    *, request: HttpRequest | Request, actor: Actor, invitation: Invitation
) -> Invitation:
    """Raises what `renew_invitation` does, or TooManyRequests."""
    with transaction.atomic():
        found = renew_invitation(actor=actor, invitation=invitation)
        _mail(request, found)
    return found


def _mail(request: HttpRequest | Request, invitation: Invitation) -> None:
    plain = request._request if isinstance(request, Request) else request
    count_invitation(plain, invitation.email)
    ask_for_invitation(invitation)
