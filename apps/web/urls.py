from django.urls import path

from apps.web import dashboard, files, job, jobs, sessions, upload, wellknown

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
    path("jobs/<uuid:job_id>/retry", job.retry, name="job-retry"),
    path("jobs/<uuid:job_id>/delete", job.delete, name="job-delete"),
    path("files/<uuid:file_id>", files.file, name="file"),
    path("files/<uuid:file_id>/live", files.live, name="file-live"),
    path("files/<uuid:file_id>/retry", files.retry, name="file-retry"),
    path("favicon.ico", wellknown.favicon),
    path("robots.txt", wellknown.robots),
]
