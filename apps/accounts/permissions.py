"""Who may reach the API at all. What they may do there is asked of the Actor."""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.actor import Actor

if TYPE_CHECKING:
    # That module reads the setting that names this one while it is being imported.
    from rest_framework.views import APIView


class IsMember(BasePermission):
    """Signed in, and a member of an organization; `Actor.of_request` then answers for free."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not request.user.is_authenticated:
            return False
        Actor.of_request(request)  # raises Forbidden when there is none
        return True
