"""The URL table. Paths have no trailing slash."""

from django.contrib import admin
from django.urls import include, path

from apps.accounts.admin import sign_in as admin_sign_in
from apps.ratelimits.api import RateLimits
from apps.web import api, invitations_api, sessions

admin.autodiscover()

urlpatterns = [
    path("", include("apps.health.urls")),
    path("api", api.Root.as_view(), name="api-root"),
    path("api/", api.Root.as_view(schema=None)),  # in the schema once
    path("api/schema", api.Schema.as_view(), name="schema"),
    path("api/docs", api.docs, name="api-docs"),
    path("api/rate-limits", RateLimits.as_view(), name="rate-limits"),
    path("api/invitations", invitations_api.InvitationList.as_view(), name="invitation-list"),
    path(
        "api/invitations/<uuid:invitation_id>",
        invitations_api.InvitationDetail.as_view(),
        name="invitation",
    ),
    path(
        "api/invitations/<uuid:invitation_id>/resend",
        invitations_api.InvitationResend.as_view(),
        name="invitation-resend",
    ),
    path("api/", include("apps.accounts.urls")),
    path("api/batch/", include("apps.jobs.urls")),
    path("api/", include("apps.webhooks.urls")),
    path("api/", include("apps.notifications.urls")),
    # Before the admin's own.
    path("admin/login/", admin_sign_in),
    path("admin/logout/", sessions.sign_out),
    path("admin/password_change/", sessions.change_password),
    path("admin/", admin.site.urls),
    path("", include("apps.web.urls")),
]

handler400 = "apps.core.problems.bad_request"
handler403 = "apps.core.problems.permission_denied"
handler404 = "apps.core.problems.page_not_found"
handler500 = "apps.core.problems.server_error"
