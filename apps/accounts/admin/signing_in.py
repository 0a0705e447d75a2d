"""The admin's way to the one sign-in page."""

# Django's admin and form classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache

from apps.accounts.errors import Forbidden


@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """In place of the admin's own sign-in page: ours. Raises Forbidden for who is signed in and is
    no staff, since signing in again would lead here again."""
    if request.user.is_authenticated:
        if not admin.site.has_permission(request):
            raise Forbidden(f"The admin is for staff, and {request.user} is none.")
        return redirect("admin:index")
    return redirect_to_login(request.GET.get("next", "/admin/"))
