from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="batchjob",
            index=models.Index(
                fields=["organization", "state", "-created_at", "-id"], name="job_list_by_state"
            ),
        ),
        migrations.AddIndex(
            model_name="batchjob",
            index=models.Index(fields=["organization", "state", "-finished_at"], name="job_ended"),
        ),
    ]
