"""The URL table. Paths have no trailing slash."""

from django.contrib import admin
from django.urls import include, path

from apps.accounts.admin import sign_in as admin_sign_in
from apps.ratelimits.api import RateLimits
from apps.web import api, sessions

urlpatterns = [
    path("", include("apps.health.urls")),
    path("api", api.Root.as_view(), name="api-root"),
    path("api/", api.Root.as_view(schema=None)),  # in the schema once
    path("api/schema", api.Schema.as_view(), name="schema"),
    path("api/docs", api.docs, name="api-docs"),
    path("api/rate-limits", RateLimits.as_view(), name="rate-limits"),
    path("api/batch/", include("apps.jobs.urls")),
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
