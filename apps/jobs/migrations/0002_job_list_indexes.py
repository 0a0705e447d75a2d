from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="batchjob",
            name="job_list",
        ),
        migrations.AddIndex(
            model_name="batchjob",
            index=models.Index(
                fields=["organization", "-created_at", "-id", "state", "operation"],
                name="job_list",
            ),
        ),
        migrations.AddIndex(
            model_name="batchjob",
            index=models.Index(fields=["organization", "state", "-finished_at"], name="job_ended"),
        ),
    ]
