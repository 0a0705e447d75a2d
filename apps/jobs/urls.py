from django.urls import path

from apps.jobs.api import files, jobs, pages, upload

urlpatterns = [
    path("upload", upload.BatchUpload.as_view(), name="batch-upload"),
    path("jobs", jobs.JobList.as_view(), name="job-list"),
    path("jobs/<uuid:job_id>", jobs.JobDetail.as_view(), name="job"),
    path("jobs/<uuid:job_id>/files", jobs.JobFiles.as_view(), name="job-files"),
    path("jobs/<uuid:job_id>/cancel", jobs.JobCancel.as_view(), name="job-cancel"),
    path("jobs/<uuid:job_id>/retry", jobs.JobRetry.as_view(), name="job-retry"),
    path(
        "jobs/<uuid:job_id>/results.ndjson",
        jobs.JobResultsNdjson.as_view(),
        name="job-results-ndjson",
    ),
    path("jobs/<uuid:job_id>/results.zip", jobs.JobResultsZip.as_view(), name="job-results-zip"),
    path("files/<uuid:file_id>", files.FileDetail.as_view(), name="file"),
    path("files/<uuid:file_id>/retry", files.FileRetry.as_view(), name="file-retry"),
    path("files/<uuid:file_id>/text", files.FileText.as_view(), name="file-text"),
    path("files/<uuid:file_id>/result", files.FileExtraction.as_view(), name="file-result"),
    path("files/<uuid:file_id>/content", files.FileContent.as_view(), name="file-content"),
    path("files/<uuid:file_id>/searchable", files.FileSearchable.as_view(), name="file-searchable"),
    path(
        "files/<uuid:file_id>/pages/<int:number>/image",
        pages.FilePageImage.as_view(),
        name="file-page-image",
    ),
]
