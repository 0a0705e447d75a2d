"""The URL table. Paths have no trailing slash."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

urlpatterns = [
    path("", include("apps.health.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/batch/", include("apps.jobs.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "apps.core.problems.bad_request"
handler403 = "apps.core.problems.permission_denied"
handler404 = "apps.core.problems.page_not_found"
handler500 = "apps.core.problems.server_error"
