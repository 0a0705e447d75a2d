"""What the tests of notifications look at, and how they bring it about."""

from typing import Any

from django.db import connection
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchJob
from apps.notifications.models import Notification
from apps.notifications.services import notify
from apps.queue.retry import FailureClass
from tests.jobs.runs import fail_next

NEW_ID = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}
EARLIER = {
    "postgresql": "told_at - n * interval '1 second'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', told_at, '-' || n || ' seconds') || '000'",
}


def told(user: User) -> list[str]:
    """The titles of all that `user` was told, the newest first; a star marks what is unread."""
    rows = Notification.objects.filter(user=user).order_by("-told_at", "-id")
    return [("* " if row.read_at is None else "") + row.told.title for row in rows]


def tell(user: User, organization: Organization, number: int = 1, **more: Any) -> Notification:
    """Tells `user` something; each `number` is another thing."""
    facts = {"title": f"Message {number}", "text": "Read this."}
    key = f"message:{number}"
    how = {"kind": "message", "key": key, "facts": facts, "users": [user.pk]} | more
    notify(organization_id=organization.pk, **how)
    return Notification.objects.get(user=user, key=how["key"])


def fill(user: User, organization: Organization, count: int, *, read: bool = False) -> None:
    """`count` notifications of `user`, a second apart, the newest now: more than could be told."""
    if not count:
        return
    now = timezone.now()
    first = Notification.objects.create(
        user=user,
        organization=organization,
        kind="message",
        key=f"filled:{organization.pk}:{read}:0",
        facts={"title": "Filled", "text": ""},
        read_at=now if read else None,
    )
    table, vendor = Notification._meta.db_table, connection.vendor
    own = {"id": NEW_ID[vendor], "key": "key || n", "told_at": EARLIER[vendor]}
    names = [field.column for field in Notification._meta.concrete_fields]
    values = ", ".join(own.get(name, f'"{name}"') for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE numbers(n) AS "
            f"(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, numbers "
            f"WHERE key = '{first.key}' AND n < {count}"
        )


def quarantine_next() -> None:
    """The best waiting file breaks the reader twice."""
    for _ in range(2):
        file = fail_next(FailureClass.CRASH)
        type(file).objects.filter(pk=file.pk, state="retry_wait").update(
            available_at=file.created_at
        )


def title_of(job: BatchJob) -> str:
    return job.name or "1.txt"
