from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_job_list_indexes"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="batchfile",
            index=models.Index(fields=["sha256"], name="file_by_content"),
        ),
    ]
