from django.conf import settings
from django.db import migrations, models

from apps.core.migrating import AddIndexBeside


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("accounts", "0003_signed_in"),
        ("queue", "0009_request_ids"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexBeside(
            model_name="workitem",
            index=models.Index(fields=["finished_at"], name="workitem_finished"),
        ),
    ]
