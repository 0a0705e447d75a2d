"""An index is built while others write to its table."""

import threading
from typing import Any

import pytest
from django.db import connection, connections, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from apps.accounts.models import Organization
from apps.core.migrating import AddIndexBeside, RemoveIndexBeside
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)
INDEX = models.Index(fields=["name"], name="built_beside")
ADD = AddIndexBeside("organization", INDEX)
REMOVE = RemoveIndexBeside("organization", INDEX.name)


def states() -> tuple[ProjectState, ProjectState]:
    """Without the index, and with it."""
    without = MigrationLoader(connection).project_state()
    having = without.clone()
    ADD.state_forwards("accounts", having)
    return without, having


def forwards(operation: AddIndexBeside | RemoveIndexBeside, *states: ProjectState) -> None:
    try:
        with connection.schema_editor(atomic=False) as editor:
            operation.database_forwards("accounts", editor, *states)
    finally:
        if threading.current_thread() is not threading.main_thread():
            connections.close_all()


def index_names() -> list[str]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Organization._meta.db_table)
    return [name for name in found if name == INDEX.name]


def test_it_is_there_once_and_gone_once_however_often_it_is_tried() -> None:
    without, having = states()
    for operation, order, after in (
        (ADD, (without, having), [INDEX.name]),
        (REMOVE, (having, without), []),
    ):
        for _ in range(2):  # as after one that was killed before it was noted
            forwards(operation, *order)
            assert index_names() == after


@pytest.mark.postgres
def test_who_writes_meanwhile_does_not_wait() -> None:
    without, having = states()
    building = threading.Thread(target=forwards, args=(ADD, without, having))
    beside = connection.copy()
    try:
        with beside.cursor() as cursor, transaction.atomic():
            Organization.objects.create(name="under way")
            building.start()  # and waits for this transaction
            eventually(lambda: is_waiting(cursor))
            cursor.execute("SET lock_timeout = '3s'")
            cursor.execute("UPDATE accounts_organization SET name = 'b' WHERE name = 'a'")
    finally:
        beside.close()
    building.join(60)
    assert index_names() == [INDEX.name]
    forwards(REMOVE, having, without)


def is_waiting(cursor: Any) -> bool:
    cursor.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND query LIKE 'CREATE INDEX%' AND datname = current_database()"
    )
    return bool(cursor.fetchone()[0])
