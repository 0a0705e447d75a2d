from django.urls import path

from apps.accounts import schema  # noqa: F401  (it describes the keys by being imported)
from apps.accounts.api import audit, keys, members, organization
from apps.audit.exporting import FORMATS

urlpatterns = [
    path("organization", organization.OrganizationDetail.as_view(), name="organization"),
    path("members", members.MemberList.as_view(), name="member-list"),
    path("members/<uuid:member_id>", members.MemberDetail.as_view(), name="member"),
    path("audit", audit.AuditList.as_view(), name="audit"),
    *(path(f"audit.{name}", audit.export_view(name), name=f"audit-{name}") for name in FORMATS),
    path("keys", keys.KeyList.as_view(), name="key-list"),
    path("keys/<uuid:api_key_id>", keys.KeyDetail.as_view(), name="key"),
]
