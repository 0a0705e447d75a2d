"""Operations of migrations for tables that others write to meanwhile.

PostgreSQL lets nobody write to a table while an index of it is built, unless it is built beside
them (`CONCURRENTLY`), which no transaction may hold: a migration of these alone, `atomic = False`.
Killed in between, it is run again: what it has left of an index is made anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.migrations import operations
from django.db.migrations.state import ProjectState
from django.db.models import Index


class AddIndexBeside(operations.AddIndex):
    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        _add(schema_editor, to_state.apps.get_model(app_label, self.model_name), self.index)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        _drop(schema_editor, self.index.name)


class RemoveIndexBeside(operations.RemoveIndex):
    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        _drop(schema_editor, self.name)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        index = to_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
        _add(schema_editor, to_state.apps.get_model(app_label, self.model_name), index)


def _add(schema_editor: Any, model: Any, index: Index) -> None:
    _drop(schema_editor, index.name)
    if schema_editor.connection.vendor != "postgresql":
        schema_editor.add_index(model, index)
        return
    with _patient(schema_editor):
        schema_editor.add_index(model, index, concurrently=True)


def _drop(schema_editor: Any, name: str) -> None:
    beside = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    with _patient(schema_editor):
        schema_editor.execute(f"DROP INDEX {beside}IF EXISTS {schema_editor.quote_name(name)}")


@contextmanager
def _patient(schema_editor: Any) -> Iterator[None]:
    """PostgreSQL waits for transactions that are under way, such as a backup's, and nobody for it:
    so it need not give up after `lock_timeout`."""
    if schema_editor.connection.vendor != "postgresql":
        yield
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        [before] = cursor.fetchone()
        cursor.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])
