"""Every route there is: path without the leading slash -> methods, by who may see what there."""

# Every route is in one of these or of the admin; a new one without a place fails the first test.
OPEN_TO_ALL = {
    "api": ["GET"],
    "api/": ["GET"],
    "api/docs": ["GET"],
    "api/health": ["GET"],
    "api/rate-limits": ["GET"],
    "api/schema": ["GET"],
    "favicon.ico": ["GET"],
    "health": ["GET"],
    "robots.txt": ["GET"],
    "sign-in": ["GET"],
    "password": ["GET"],
}
LISTS = {"api/batch/jobs": ["GET"]}
OF_ONES_OWN_ORGANIZATION = {"api/batch/pause": ["GET", "POST", "DELETE"]}
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
    "api/batch/files/<uuid:file_id>": ["GET", "PATCH"],
    "api/batch/files/<uuid:file_id>/cancel": ["POST"],
    "api/batch/files/<uuid:file_id>/pause": ["POST"],
    "api/batch/files/<uuid:file_id>/resume": ["POST"],
    "api/batch/files/<uuid:file_id>/retry": ["POST"],
    "api/batch/files/<uuid:file_id>/requeue": ["POST"],
    "api/batch/files/<uuid:file_id>/text": ["GET"],
    "api/batch/files/<uuid:file_id>/result": ["GET"],
    "api/batch/files/<uuid:file_id>/content": ["GET"],
}
SEARCHABLE = {"api/batch/files/<uuid:file_id>/searchable": ["GET"]}
PICTURES = {"api/batch/files/<uuid:file_id>/pages/<int:number>/image": ["GET"]}
"""Both as DETAILS are, but texts, which the files here are, have none."""
FILE_VERBS = ("cancel", "resume", "retry", "requeue")
PAGES = {"": ["GET"], "jobs": ["GET"], "jobs/new": ["GET", "POST"]}
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
    "jobs/<uuid:job_id>/delete": ["GET", "POST"],
    "files/<uuid:file_id>": ["GET"],
    "files/<uuid:file_id>/live": ["GET"],
    "files/<uuid:file_id>/pause": ["GET", "POST"],
    **{f"files/<uuid:file_id>/{verb}": ["POST"] for verb in FILE_VERBS},
}
OF_ONES_OWN_SESSION = {"organization": ["POST"], "preferences": ["POST"], "sign-out": ["POST"]}
BY_LINK = {
    "sign-up": ["GET"],
    "sign-up/<str:token>": ["GET"],
    "password/<str:uidb64>/<str:token>": ["GET"],
}
"""There for who was mailed a link, or not there while nobody may sign up: see tests/web."""
ADMIN_WITHOUT_DATA = {
    "admin/",
    "admin/login/",  # leads to the index
    *(f"admin/{name}/" for name in ("jsi18n", "logout", "password_change", "password_change/done")),
}
