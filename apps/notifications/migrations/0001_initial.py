import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import apps.core.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Preferences",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="notification_preferences",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("choices", models.JSONField(default=dict)),
            ],
            options={
                "verbose_name_plural": "preferences",
            },
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=apps.core.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("job_finished", "Finished jobs"),
                            ("file_quarantined", "Files in quarantine"),
                            ("queue_paused", "Pauses"),
                            ("member_added", "Memberships"),
                            ("message", "Messages of the operators"),
                        ],
                        max_length=32,
                    ),
                ),
                ("key", models.CharField(max_length=100)),
                ("facts", models.JSONField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("told_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("read_at", models.DateTimeField(null=True)),
                ("is_shown", models.BooleanField(default=True)),
                ("mail_due_at", models.DateTimeField(null=True)),
                ("mail", models.UUIDField(null=True)),
                ("mailed_at", models.DateTimeField(null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("is_shown", True)),
                        fields=["user", "-told_at", "-id", "organization", "kind"],
                        name="notification_list",
                    ),
                    models.Index(
                        condition=models.Q(("is_shown", True), ("read_at", None)),
                        fields=["user", "-told_at", "-id", "organization", "kind"],
                        name="notification_unread",
                    ),
                    models.Index(
                        condition=models.Q(("mail_due_at__isnull", False)),
                        fields=["mail_due_at", "user"],
                        name="notification_due",
                    ),
                    models.Index(
                        condition=models.Q(("mail__isnull", False)),
                        fields=["mail"],
                        name="notification_mail",
                    ),
                    models.Index(fields=["read_at"], name="notification_read"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("key", "user"), name="one_notification_per_key")
                ],
            },
        ),
    ]
