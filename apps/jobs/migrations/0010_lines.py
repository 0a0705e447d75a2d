import django.db.models.deletion
from django.db import migrations, models

import apps.queue.states


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("jobs", "0009_bulk_targets"),
    ]

    operations = [
        migrations.AlterField(
            model_name="batchfile",
            name="waits_for",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="followers",
                to="jobs.batchfile",
            ),
        ),
        migrations.AddIndex(
            model_name="batchfile",
            index=models.Index(
                condition=models.Q(
                    ("is_held", False),
                    (
                        "state__in",
                        [apps.queue.states.State["QUEUED"], apps.queue.states.State["RETRY_WAIT"]],
                    ),
                ),
                fields=["lane", "organization", "priority", "fair_rank", "id"],
                name="batchfile_lines",
            ),
        ),
        migrations.AddIndex(
            model_name="batchfile",
            index=models.Index(
                condition=models.Q(("waits_for__isnull", False)),
                fields=["waits_for"],
                name="file_follows",
            ),
        ),
    ]
