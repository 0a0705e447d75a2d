from django.conf import settings
from django.db import migrations, models

import apps.queue.states


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("queue", "0007_share_per_line"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="workitem",
            index=models.Index(
                condition=models.Q(
                    ("is_held", False),
                    (
                        "state__in",
                        [apps.queue.states.State["QUEUED"], apps.queue.states.State["RETRY_WAIT"]],
                    ),
                ),
                fields=["lane", "organization", "priority", "fair_rank", "id"],
                name="workitem_lines",
            ),
        ),
    ]
