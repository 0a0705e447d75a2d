from django.urls import path

from apps.jobs.api import (
    control,
    events,
    exports,
    file_control,
    files,
    jobs,
    pages,
    pauses,
    results,
    upload,
    uploads,
)
from apps.jobs.formats import FORMATS

urlpatterns = [
    path("upload", upload.BatchUpload.as_view(), name="batch-upload"),
    path("uploads", uploads.UploadList.as_view(), name="upload-list"),
    path("uploads/<uuid:upload_id>", uploads.UploadDetail.as_view(), name="upload"),
    path("pause", pauses.OrganizationPause.as_view(), name="batch-pause"),
    path("jobs", jobs.JobList.as_view(), name="job-list"),
    path("jobs/events", events.JobListEvents.as_view(), name="job-list-events"),
    path("jobs/<uuid:job_id>", jobs.JobDetail.as_view(), name="job"),
    path("jobs/<uuid:job_id>/files", jobs.JobFiles.as_view(), name="job-files"),
    path("jobs/<uuid:job_id>/events", events.JobEvents.as_view(), name="job-events"),
    path("jobs/<uuid:job_id>/cancel", control.JobCancel.as_view(), name="job-cancel"),
    path("jobs/<uuid:job_id>/pause", control.JobPause.as_view(), name="job-pause"),
    path("jobs/<uuid:job_id>/resume", control.JobResume.as_view(), name="job-resume"),
    path("jobs/<uuid:job_id>/retry", control.JobRetry.as_view(), name="job-retry"),
    path("jobs/<uuid:job_id>/requeue", control.JobRequeue.as_view(), name="job-requeue"),
    path("jobs/<uuid:job_id>/discard", control.JobDiscard.as_view(), name="job-discard"),
    *(
        path(
            f"jobs/<uuid:job_id>/results.{name}",
            results.view_of(each).as_view(),
            name=f"job-results-{name}",
        )
        for name, each in FORMATS.items()
    ),
    path("exports", exports.ExportList.as_view(), name="export-list"),
    path("exports/<uuid:export_id>", exports.ExportDetail.as_view(), name="export"),
    path(
        "exports/<uuid:export_id>/content",
        exports.ExportContent.as_view(),
        name="export-content",
    ),
    path("files/<uuid:file_id>", files.FileDetail.as_view(), name="file"),
    path("files/<uuid:file_id>/cancel", file_control.FileCancel.as_view(), name="file-cancel"),
    path("files/<uuid:file_id>/pause", file_control.FilePause.as_view(), name="file-pause"),
    path("files/<uuid:file_id>/resume", file_control.FileResume.as_view(), name="file-resume"),
    path("files/<uuid:file_id>/retry", file_control.FileRetry.as_view(), name="file-retry"),
    path("files/<uuid:file_id>/requeue", file_control.FileRequeue.as_view(), name="file-requeue"),
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
