"""The flags in the admin: to be read. They are settings, so changing one means a restart."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from apps.core.admin import ReadOnly
from apps.core.flags import FLAGS
from apps.health.models import FlagNow


@admin.register(FlagNow)
class FlagAdmin(ReadOnly):
    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.changelist_view)
        return [path("", page, name="health_flagnow_changelist")]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Flags",
            "opts": self.opts,
            "flags": FLAGS,
        }
        return TemplateResponse(request, "admin/health/flags.html", context)
