"""Every route there is: path without the leading slash -> methods, by who may see what there."""

# Every route is in one of these or of the admin; a new one without a place fails the first test.
OPEN_TO_ALL = {
    "api": ["GET"],
    "api/": ["GET"],
    "api/docs": ["GET"],
    "api/health": ["GET"],
    "api/rate-limits": ["GET"],
    "api/schema": ["GET"],
    "errors": ["GET"],
    "favicon.ico": ["GET"],
    "health": ["GET"],
    "health/live": ["GET"],
    "health/ready": ["GET"],
    "robots.txt": ["GET"],
    "sign-in": ["GET"],
    "password": ["GET"],
}
LISTS = {
    "api/batch/jobs": ["GET"],
    "api/batch/exports": ["GET", "POST"],
    "api/batch/uploads": ["GET", "POST"],
}
OF_ONES_OWN_ORGANIZATION = {
    "api/batch/pause": ["GET", "POST", "DELETE"],
    "api/organization": ["GET", "PATCH", "DELETE"],
    "api/members": ["GET"],
    "api/invitations": ["GET", "POST"],
    "api/keys": ["GET", "POST"],
    "api/audit": ["GET"],
    "api/audit.ndjson": ["GET"],
    "api/audit.csv": ["GET"],
}
MAKES = {"api/batch/upload": ["POST"]}
DETAILS = {
    "api/batch/jobs/<uuid:job_id>": ["GET", "PATCH", "DELETE"],
    "api/batch/jobs/<uuid:job_id>/files": ["GET"],
    "api/batch/jobs/<uuid:job_id>/cancel": ["POST"],
    "api/batch/jobs/<uuid:job_id>/pause": ["POST"],
    "api/batch/jobs/<uuid:job_id>/resume": ["POST"],
    "api/batch/jobs/<uuid:job_id>/retry": ["POST"],
    "api/batch/jobs/<uuid:job_id>/requeue": ["POST"],
    "api/batch/jobs/<uuid:job_id>/discard": ["POST"],
    "api/batch/jobs/<uuid:job_id>/results.ndjson": ["GET"],
    "api/batch/jobs/<uuid:job_id>/results.zip": ["GET"],
    "api/batch/jobs/<uuid:job_id>/results.csv": ["GET"],
    "api/batch/jobs/<uuid:job_id>/results.xlsx": ["GET"],
    "api/batch/jobs/<uuid:job_id>/results.md": ["GET"],
    "api/batch/exports/<uuid:export_id>": ["GET", "DELETE"],
    "api/batch/exports/<uuid:export_id>/content": ["GET"],
    "api/batch/files/<uuid:file_id>": ["GET", "PATCH"],
    "api/batch/files/<uuid:file_id>/cancel": ["POST"],
    "api/batch/files/<uuid:file_id>/pause": ["POST"],
    "api/batch/files/<uuid:file_id>/resume": ["POST"],
    "api/batch/files/<uuid:file_id>/retry": ["POST"],
    "api/batch/files/<uuid:file_id>/requeue": ["POST"],
    "api/batch/files/<uuid:file_id>/text": ["GET"],
    "api/batch/files/<uuid:file_id>/result": ["GET"],
    "api/batch/files/<uuid:file_id>/content": ["GET"],
    "api/members/<uuid:member_id>": ["GET", "PATCH", "DELETE"],
    "api/invitations/<uuid:invitation_id>": ["GET", "DELETE"],
    "api/invitations/<uuid:invitation_id>/resend": ["POST"],
}
KEY_DETAILS = {"api/keys/<uuid:api_key_id>": ["GET", "DELETE"]}
"""As DETAILS are, but a reader sees none of another's."""
SEARCHABLE = {"api/batch/files/<uuid:file_id>/searchable": ["GET"]}
PICTURES = {"api/batch/files/<uuid:file_id>/pages/<int:number>/image": ["GET"]}
"""Both as DETAILS are, but texts, which the files here are, have none."""
STREAMS = {"api/batch/jobs/<uuid:job_id>/events": ["GET"]}
LIST_STREAMS = {"api/batch/jobs/events": ["GET"]}
"""For ever, where they are: see tests/jobs/test_streams.py."""
WEBHOOKS = {
    "api/webhooks": ["GET", "POST"],
    "api/webhooks/<uuid:endpoint_id>": ["GET", "PATCH", "DELETE"],
    "api/webhooks/<uuid:endpoint_id>/deliveries": ["GET"],
    **{
        f"api/webhooks/<uuid:endpoint_id>/{verb}": ["POST"] for verb in ("test", "rotate", "secret")
    },
    "api/webhooks/deliveries/<uuid:delivery_id>": ["GET"],
    "api/webhooks/deliveries/<uuid:delivery_id>/redeliver": ["POST"],
}
WEBHOOK_PAGES = {
    "settings/webhooks": ["GET"],
    "settings/webhooks/new": ["GET", "POST"],
    "settings/webhooks/<uuid:endpoint_id>": ["GET"],
    **{
        f"settings/webhooks/<uuid:endpoint_id>/{form}": ["GET", "POST"]
        for form in ("edit", "delete")
    },
    **{
        f"settings/webhooks/<uuid:endpoint_id>/{verb}": ["POST"]
        for verb in ("test", "rotate", "secret", "enable", "disable")
    },
    "settings/webhooks/deliveries/<uuid:delivery_id>": ["GET"],
    "settings/webhooks/deliveries/<uuid:delivery_id>/redeliver": ["POST"],
}
"""Both are for owners and admins, and walked in tests/webhooks."""
OF_ONES_OWN = {"api/batch/uploads/<uuid:upload_id>": ["GET", "PATCH", "DELETE"]}
"""As DETAILS are, but not there for others of the organization either."""
FILE_VERBS = ("cancel", "resume", "retry", "requeue")
PERSONAL_LISTS = {"api/notifications": ["GET"], "api/notifications/unread": ["GET"]}
PERSONAL = {
    "api/notifications/preferences": ["GET", "PATCH"],
    "api/notifications/read": ["POST"],
    "api/notifications/<uuid:notification_id>": ["GET", "PATCH"],
}
"""What everybody has of their own, whatever their role: see tests/notifications."""
PERSONAL_PAGES = {"notifications": ["GET"], "notifications/badge": ["GET"]}
PERSONAL_PAGE_DETAILS = {
    "notifications/preferences": ["GET", "POST"],
    "notifications/read": ["POST"],
    "notifications/<uuid:pk>": ["GET"],
    "notifications/<uuid:pk>/read": ["POST"],
    "settings/sessions/<uuid:session_id>/end": ["GET", "POST"],
}
PAGES = {
    "": ["GET"],
    "jobs": ["GET"],
    "jobs/new": ["GET", "POST"],
    "jobs/bulk": ["POST"],
    "exports": ["GET", "POST"],
}
PAGE_DETAILS = {
    "jobs/<uuid:job_id>": ["GET"],
    "jobs/<uuid:job_id>/live": ["GET"],
    "jobs/<uuid:job_id>/cancel": ["GET", "POST"],
    "jobs/<uuid:job_id>/pause": ["GET", "POST"],
    "jobs/<uuid:job_id>/resume": ["POST"],
    "jobs/<uuid:job_id>/priority": ["POST"],
    "jobs/<uuid:job_id>/retry": ["POST"],
    "jobs/<uuid:job_id>/requeue": ["GET", "POST"],
    "jobs/<uuid:job_id>/keep": ["POST"],
    "jobs/<uuid:job_id>/discard": ["POST"],
    "jobs/<uuid:job_id>/exports": ["POST"],
    "jobs/<uuid:job_id>/exports/<uuid:export_id>/delete": ["POST"],
    "jobs/<uuid:job_id>/delete": ["GET", "POST"],
    "exports/<uuid:export_id>/again": ["POST"],
    "exports/<uuid:export_id>/delete": ["POST"],
    "files/<uuid:file_id>": ["GET"],
    "files/<uuid:file_id>/live": ["GET"],
    "files/<uuid:file_id>/pause": ["GET", "POST"],
    **{f"files/<uuid:file_id>/{verb}": ["POST"] for verb in FILE_VERBS},
    "settings/members/<uuid:member_id>": ["POST"],
    "settings/members/<uuid:member_id>/remove": ["GET", "POST"],
    "settings/invitations/<uuid:invitation_id>/resend": ["POST"],
    "settings/invitations/<uuid:invitation_id>/revoke": ["GET", "POST"],
    "settings/keys/<uuid:key_id>/revoke": ["GET", "POST"],
}
SETTINGS = {
    "settings/profile": ["GET", "POST"],
    "settings/sessions": ["GET"],
    "settings/sessions/end": ["GET", "POST"],
    "settings/members": ["GET", "POST"],
    "settings/keys": ["GET", "POST"],
    "settings/audit": ["GET"],
    "settings/organization": ["GET", "POST"],
    "settings/organization/new": ["GET", "POST"],
    "settings/organization/delete": ["GET", "POST"],
    "settings/account": ["GET"],
    "settings/account/export": ["POST"],
    "settings/account/delete": ["GET", "POST"],
}
"""Of oneself and the organization one works in: what each role may there is in tests/web."""
OF_ONES_OWN_SESSION = {"organization": ["POST"], "preferences": ["POST"], "sign-out": ["POST"]}
BY_LINK = {
    "sign-up": ["GET"],
    "sign-up/<str:token>": ["GET"],
    "errors/<str:code>": ["GET"],
    "unsubscribe/<str:token>": ["GET", "POST"],
    "password/<str:uidb64>/<str:token>": ["GET"],
    "invitations/<str:token>": ["GET"],
    "settings/address/<str:token>": ["GET"],
}
"""There for who was mailed a link, or not there while nobody may sign up: see tests/web."""
FOR_STAFF = {"api/health/details": ["GET"], "metrics": ["GET"]}
"""Of the installation and of nobody's data. The second also for who shows a token of it: see
tests/health."""
ADMIN_WITHOUT_DATA = {
    "admin/",
    "admin/login/",  # leads to the index
    *(f"admin/{name}/" for name in ("jsi18n", "logout", "password_change", "password_change/done")),
}

EVERY = {
    **OPEN_TO_ALL,
    **LISTS,
    **OF_ONES_OWN_ORGANIZATION,
    **MAKES,
    **DETAILS,
    **SEARCHABLE,
    **PICTURES,
    **STREAMS,
    **LIST_STREAMS,
    **OF_ONES_OWN,
    **KEY_DETAILS,
    **SETTINGS,
    **PAGES,
    **PAGE_DETAILS,
    **PERSONAL,
    **PERSONAL_LISTS,
    **PERSONAL_PAGES,
    **PERSONAL_PAGE_DETAILS,
    **OF_ONES_OWN_SESSION,
    **BY_LINK,
    **FOR_STAFF,
    **WEBHOOKS,
    **WEBHOOK_PAGES,
}
