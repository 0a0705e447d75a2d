from django.db import migrations, models

from apps.core.migrating import AddIndexBeside, RemoveIndexBeside


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("accounts", "0003_signed_in"),
        ("jobs", "0014_kept_bytes"),
    ]

    operations = [
        AddIndexBeside(
            model_name="batchfile",
            index=models.Index(fields=["organization", "work_key"], name="file_by_likeness"),
        ),
        AddIndexBeside(
            model_name="batchfile",
            index=models.Index(
                condition=models.Q(("parent__isnull", False)),
                fields=["parent", "position"],
                name="file_members",
            ),
        ),
        AddIndexBeside(
            model_name="batchfile",
            index=models.Index(
                condition=models.Q(
                    ("state__in", ["cancelled", "failed", "quarantined", "rejected"])
                ),
                fields=["state", "-id"],
                name="file_ended_badly",
            ),
        ),
        RemoveIndexBeside(model_name="batchfile", name="file_by_work"),
    ]
