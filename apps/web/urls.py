from django.urls import path

from apps.web import (
    dashboard,
    file_control,
    files,
    job,
    job_control,
    jobs,
    sessions,
    upload,
    wellknown,
)

app_name = "web"

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("sign-in", sessions.SignIn.as_view(), name="sign-in"),
    path("sign-out", sessions.sign_out, name="sign-out"),
    path("organization", sessions.switch_organization, name="switch-organization"),
    path("preferences", sessions.set_preferences, name="preferences"),
    path("jobs", jobs.jobs, name="jobs"),
    path("jobs/new", upload.new_job, name="new-job"),
    path("jobs/<uuid:job_id>", job.job, name="job"),
    path("jobs/<uuid:job_id>/live", job.live, name="job-live"),
    path("jobs/<uuid:job_id>/cancel", job.cancel, name="job-cancel"),
    path("jobs/<uuid:job_id>/pause", job_control.pause, name="job-pause"),
    path("jobs/<uuid:job_id>/resume", job_control.resume, name="job-resume"),
    path("jobs/<uuid:job_id>/priority", job_control.prioritize, name="job-priority"),
    path("jobs/<uuid:job_id>/retry", job.retry, name="job-retry"),
    path("jobs/<uuid:job_id>/requeue", job_control.requeue, name="job-requeue"),
    path("jobs/<uuid:job_id>/keep", job_control.keep, name="job-keep"),
    path("jobs/<uuid:job_id>/discard", job_control.discard, name="job-discard"),
    path("jobs/<uuid:job_id>/delete", job.delete, name="job-delete"),
    path("files/<uuid:file_id>", files.file, name="file"),
    path("files/<uuid:file_id>/live", files.live, name="file-live"),
    path("files/<uuid:file_id>/cancel", file_control.cancel, name="file-cancel"),
    path("files/<uuid:file_id>/pause", file_control.pause, name="file-pause"),
    path("files/<uuid:file_id>/resume", file_control.resume, name="file-resume"),
    path("files/<uuid:file_id>/retry", file_control.retry, name="file-retry"),
    path("files/<uuid:file_id>/requeue", file_control.requeue, name="file-requeue"),
    path("favicon.ico", wellknown.favicon),
    path("robots.txt", wellknown.robots),
]
