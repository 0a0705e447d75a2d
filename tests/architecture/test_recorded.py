"""Every verb with which somebody changes something leaves an entry in the audit log, or says here
why not.

A verb is a public function that writes, by itself or by what it calls: each in a services module,
and elsewhere, outside of views and commands, those that are told who acts (`actor`, `by`, `user`).
Read off the source: what a function names, it is taken to call.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
WRITES = {
    "save",
    "create",
    "delete",
    "bulk_create",
    "bulk_update",
    "get_or_create",
    "update_or_create",
}
ACTORS = {"actor", "by", "user"}
RECORD = "apps.audit.services.record"

REASONS = {
    "a step of verbs that record what is done as a whole: joining, making, giving a key": (
        "accounts.services.making.add_member",
        "accounts.services.making.create_api_key",
        "accounts.services.making.create_organization",
        "accounts.services.making.create_user",
        "accounts.services.making.register_user",
        "accounts.services.making.revoke_api_key",
        "accounts.viewers.make_viewer",
    ),
    "what follows from a leaving, a removal or a closing, each of which is recorded": (
        "accounts.services.closing.remove_closed",
        "accounts.services.members.withdraw_invitations",
        "accounts.services.passing.pass_on",
        "jobs.services.exporting.remove_exports",
        "jobs.services.removing.remove_jobs",
        "jobs.services.removing.unlink_duplicates",
    ),
    "lists a session that began elsewhere; its beginning is what counts": (
        "accounts.services.sessions.know_session",
    ),
    "the engine at work: attempts and counters tell it, and nobody acts": (
        "jobs.services.closing.close_if_done",
        "jobs.services.closing.count_end",
        "jobs.services.closing.hold_paused",
        "jobs.services.closing.pause_by_system",
        "jobs.services.closing.recount",
        "jobs.services.closing.set_right",
        "jobs.services.controlling.touch",
        "jobs.services.following.follow_up",
        "jobs.services.following.follow_up_on_commit",
        "jobs.services.following.let_go_of",
        "jobs.services.following.raise_leaders_on_commit",
        "jobs.services.following.repair",
        "jobs.services.following.wait_for_likes",
        "jobs.services.reuse.copy_results",
        "jobs.telling.tell_of_end",
    ),
    "a step of a submission or a retry, which are recorded": (
        "jobs.services.submitting.add_files",
        "jobs.services.submitting.bring",
        "jobs.services.submitting.file_rows",
        "jobs.services.submitting.ranks_for",
        "jobs.services.uploading.use_uploads",
    ),
    "an upload is nothing yet: what is submitted of it is recorded, the rest goes within a day": (
        "jobs.services.uploading.add_stored",
        "jobs.services.uploading.begin_upload",
        "jobs.services.uploading.let_go",
        "jobs.services.uploading.remove_upload",
        "jobs.services.uploading.take_over",
    ),
    "what one is told oneself, and how: it touches nobody else": (
        "notifications.services.change_choices",
        "notifications.services.forget",
        "notifications.services.mark",
        "notifications.services.mark_all_read",
        "notifications.services.notify",
        "notifications.services.revise",
        "notifications.services.set_choices",
        "notifications.services.write",
        "notifications.unsubscribing.stop_mails",
    ),
    "a message arrived: its tries tell it, and nobody acts": ("webhooks.services.mark_well",),
}
UNRECORDED = {name for names in REASONS.values() for name in names}


class Module:
    """One file: its functions, and what the names in it mean."""

    def __init__(self, path: Path) -> None:
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        self.name = dotted.removesuffix(".__init__")
        self.tree = ast.parse(path.read_text())
        self.functions = {
            node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)
        }
        self.names = {name: f"{self.name}.{name}" for name in self.functions}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for each in node.names:
                    self.names[each.asname or each.name] = f"{node.module}.{each.name}"


@cache
def modules() -> dict[str, Module]:
    paths = (ROOT / "apps").rglob("*.py")
    found = [Module(p) for p in paths if not {"migrations", "processors"} & {*p.parts}]
    return {module.name: module for module in found}


def origin(dotted: str) -> str:
    """Where what is imported as `dotted` is defined: packages hand on what is in their modules."""
    module, _, name = dotted.rpartition(".")
    known = modules().get(module)
    if known is None or name not in known.names or known.names[name] == dotted:
        return dotted
    return origin(known.names[name])


def named(module: Module, node: ast.AST) -> Iterator[str]:
    """The functions that `node` names."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and each.id in module.names:
            yield origin(module.names[each.id])
        elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            base = module.names.get(each.value.id, "")
            if base in modules():
                yield origin(f"{base}.{each.attr}")


@cache
def functions() -> dict[str, tuple[Module, ast.FunctionDef]]:
    return {
        f"{module.name}.{name}": (module, node)
        for module in modules().values()
        for name, node in module.functions.items()
    }


@cache
def reached(name: str) -> frozenset[str]:
    """Every function that the function `name` may call, itself among them."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        each = todo.pop()
        if each not in seen:
            seen.add(each)
            if each in functions() and each != RECORD:
                todo += named(*functions()[each])
    return frozenset(seen)


def is_write(node: ast.AST) -> bool:
    """Whether it is a call that changes rows. Dictionaries have an `update` too, without names."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    by_name = node.func.attr == "update" and bool(node.keywords)
    return by_name or node.func.attr in WRITES


def writes(name: str) -> bool:
    each = functions().get(name)
    return each is not None and name != RECORD and any(map(is_write, ast.walk(each[1])))


def is_verb(name: str) -> bool:
    module, node = functions()[name]
    parts = {*module.name.split(".")}
    if node.name.startswith("_") or parts & {"admin", "api", "cli", "management", "web"}:
        return False
    given = {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
    return ("services" in parts or bool(given & ACTORS)) and any(map(writes, reached(name)))


def verbs() -> dict[str, bool]:
    """Each verb, and whether it records."""
    return {name: RECORD in reached(name) for name in functions() if is_verb(name)}


def test_every_verb_is_recorded_or_says_why_not() -> None:
    unrecorded = {name.removeprefix("apps.") for name, records in verbs().items() if not records}
    assert unrecorded == UNRECORDED


def test_the_walk_finds_verbs_and_tells_them_apart() -> None:
    found = verbs()
    assert sum(found.values()) > 50
    for name in (
        "accounts.services.keys.revoke_key",
        "accounts.services.sessions.end_sessions",
        "jobs.services.removing.delete_job",
        "jobs.services.submitting.submit_job",
        "webhooks.outbox.redeliver",
    ):
        assert found[f"apps.{name}"], name


@pytest.mark.django_db
def test_every_form_of_the_admin_is_recorded() -> None:
    """Who may change rows there does it through services, which the walk above has seen, or through
    Django's forms, which then leave an entry."""
    from django.contrib import admin

    from apps.accounts.admin.recording import Recorded
    from apps.core.admin import ReadOnly

    by_services = {"Lane", "RateLimitRule", "Pause"}
    for model, shown in admin.site._registry.items():
        if not isinstance(shown, (Recorded, ReadOnly)):
            assert model.__name__ in by_services, model


@pytest.mark.django_db
def test_what_operators_change_in_forms_is_in_the_log() -> None:
    from apps.accounts.models import User
    from apps.accounts.services import create_user
    from apps.audit.models import AuditEntry
    from tests.operators import superuser

    browser = superuser()
    ida = create_user(email="ida@example.com", password=None, name="Ida")
    page = f"/admin/accounts/user/{ida.pk}/change/"
    given = {"email": ida.email, "name": "Ida", "is_active": "on", "is_staff": "on"}
    assert browser.post(page, given).status_code == 302
    assert User.objects.get(pk=ida.pk).is_staff
    entry = AuditEntry.objects.get(action="admin.change")
    assert (entry.actor_name, entry.target_id) == ("root@example.com", str(ida.pk))
    assert '"is_staff":true' in entry.detail
    page = f"/admin/accounts/user/{ida.pk}/delete/"
    assert browser.post(page, {"post": "yes"}).status_code == 302
    assert AuditEntry.objects.get(action="admin.delete").target_id == str(ida.pk)
