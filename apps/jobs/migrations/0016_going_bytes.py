import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0015_indexes_at_volume")]

    operations = [
        # Its index goes; `file_members` takes its place.
        migrations.AlterField(
            model_name="batchfile",
            name="parent",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="members",
                to="jobs.batchfile",
            ),
        ),
        migrations.AddField(
            model_name="blob", name="going_since", field=models.DateTimeField(null=True)
        ),
    ]
