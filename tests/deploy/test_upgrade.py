"""An older process goes on while the tables of the next version are made: docs/upgrade.md."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import models
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from apps.core.migrating import AddIndexBeside

pytestmark = pytest.mark.once

BEFORE = {
    "accounts": 3,
    "audit": 2,
    "backups": 1,
    "caching": 1,
    "jobs": 14,
    "notifications": 3,
    "queue": 9,
    "ratelimits": 2,
    "webhooks": 1,
}
"""The last migration of each app that was made before there was a version to upgrade from."""

TAKES_AWAY = (
    operations.RemoveField,
    operations.DeleteModel,
    operations.RenameField,
    operations.RenameModel,
    operations.AlterModelTable,
)


HINDERS: dict[type[Operation], str] = {
    operations.AddIndex: "it waits to write until the index is built",
    operations.AddConstraint: "it may write what the constraint refuses",
}


def breaks(operation: Operation, app: str, before: ProjectState) -> str:
    """Why an older process cannot go on once `operation` is done; empty when it can."""
    if isinstance(operation, operations.SeparateDatabaseAndState):
        found = (breaks(each, app, before) for each in operation.database_operations)
        return next(filter(None, found), "")
    if isinstance(operation, TAKES_AWAY):
        return "it still asks for what is gone"
    if isinstance(operation, operations.AddField) and _must_be_given(operation.field):
        return "it leaves out a column that has no db_default and may not be NULL"
    if isinstance(operation, operations.AlterField):
        model = before.models[app, operation.model_name_lower]
        return _narrows(model.fields[operation.name], operation.field)
    if isinstance(operation, AddIndexBeside):
        return ""
    return next((why for kind, why in HINDERS.items() if isinstance(operation, kind)), "")


def _must_be_given(field: models.Field) -> bool:  # type: ignore[type-arg]
    has_column = not field.many_to_many
    return has_column and not field.null and not field.has_db_default()


def _narrows(old: models.Field, new: models.Field) -> str:  # type: ignore[type-arg]
    if old.null and not new.null:
        return "it may write NULL"
    if type(old) is not type(new):
        return "it writes another type"
    if old.max_length and new.max_length and new.max_length < old.max_length:
        return "it may write what is too long"
    return ""


def findings() -> Iterator[str]:
    loader = MigrationLoader(None)
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        ours = apps.get_app_config(app).name.startswith("apps.")
        if not ours or int(name[:4]) <= BEFORE.get(app, 0) or migration.initial:
            continue
        before = loader.project_state((app, name), at_end=False)
        for operation in migration.operations:
            if why := breaks(operation, app, before):
                yield f"{app}.{name}: {operation.describe()}: an older process: {why}"
            operation.state_forwards(app, before)


def test_no_migration_breaks_a_process_of_the_version_before() -> None:
    assert list(findings()) == []


PAIRS: list[tuple[Operation, bool]] = [
    (operations.RemoveField("thing", "name"), True),
    (operations.RenameField("thing", "name", "title"), True),
    (operations.DeleteModel("Thing"), True),
    (operations.AddField("thing", "size", models.IntegerField(default=0)), True),
    (operations.AddField("thing", "size", models.IntegerField(db_default=0)), False),
    (operations.AddField("thing", "size", models.IntegerField(null=True)), False),
    (operations.AlterField("thing", "name", models.CharField(max_length=5, null=True)), True),
    (operations.AlterField("thing", "name", models.CharField(max_length=20)), True),
    (operations.AlterField("thing", "name", models.TextField(null=True)), True),
    (operations.AlterField("thing", "name", models.CharField(max_length=40, null=True)), False),
    (operations.AddIndex("thing", models.Index(fields=["name"], name="by_name")), True),
    (AddIndexBeside("thing", models.Index(fields=["name"], name="by_name")), False),
    (
        operations.SeparateDatabaseAndState(
            database_operations=[operations.RemoveField("thing", "name")]
        ),
        True,
    ),
]
"""An operation, and whether it breaks an older process."""


def test_what_breaks_an_older_process_is_seen() -> None:
    name = models.CharField(max_length=10, null=True)
    before = ProjectState()
    before.add_model(
        ModelState("shop", "Thing", [("id", models.AutoField(primary_key=True)), ("name", name)])
    )
    for operation, is_breaking in PAIRS:
        assert bool(breaks(operation, "shop", before)) is is_breaking, operation.describe()
