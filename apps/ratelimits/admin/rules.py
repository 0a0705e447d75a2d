"""Rules in the admin."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from ipaddress import ip_address, ip_network
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.accounts.models import User
from apps.core.admin import LinkedFilter, link_to, one_of, state_of, url_of
from apps.core.admin_actions import ServiceAction, ServiceAdmin, Skipped
from apps.core.clients import client_address
from apps.core.errors import InvalidInput
from apps.ratelimits.admin.forms import RuleForm
from apps.ratelimits.limiters import TABLE
from apps.ratelimits.models import RateLimitRule
from apps.ratelimits.rules import add_rule, change_rule, new_rule, remove_rule

ADD, CHANGE = "ratelimits.add_ratelimitrule", "ratelimits.change_ratelimitrule"
DELETE = "ratelimits.delete_ratelimitrule"


def _remove(user: User, rule: RateLimitRule) -> None:
    remove_rule(by=user, rule=rule)


def _turn(user: User, rule: RateLimitRule, *, enabled: bool) -> None:
    if rule.enabled is enabled:
        raise Skipped("It is so already.")
    change_rule(by=user, rule=rule, enabled=enabled)


class StateFilter(admin.SimpleListFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Any:
        return [(name, name.replace("_", " ").capitalize()) for name in self._meant()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() is None:
            return queryset
        if self.value() not in self._meant():
            raise IncorrectLookupParameters
        return queryset.filter(pk__in=self._meant()[str(self.value())].values("pk"))

    def _meant(self) -> dict[str, QuerySet]:
        rules, now = RateLimitRule.objects.all(), timezone.now()
        return {
            "in_force": rules.in_force(now),
            "blocking": rules.blocking(now),
            "off": rules.filter(enabled=False),
            "over": rules.over(now).filter(enabled=True),
        }


class TargetFilter(admin.SimpleListFilter):
    title, parameter_name = "whom it is for", "for"
    MEANT = {
        "user": Q(user__isnull=False),
        "organization": Q(organization__isnull=False),
        "key": Q(key__isnull=False),
        "address": ~Q(network=""),
    }

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Any:
        return [(name, name.capitalize()) for name in self.MEANT]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() is None:
            return queryset
        if self.value() not in self.MEANT:
            raise IncorrectLookupParameters
        return queryset.filter(self.MEANT[str(self.value())])


@admin.register(RateLimitRule)
class RuleAdmin(ServiceAdmin):
    list_display = (
        "limiter_shown",
        "target_shown",
        "effect",
        "state_shown",
        "expires_at",
        "maker",
        "reason",
    )
    fields = ("id", *list_display, "created_at")
    list_display_links = ("limiter_shown",)
    list_select_related = ("user", "organization", "key", "made_by")
    list_filter = (
        StateFilter,
        TargetFilter,
        one_of("limiter", [("", "every limiter"), *((name, name) for name in TABLE)]),
        one_of("shadow", ((True, "Only tried"), (False, "For real")), title="trying"),
        ("user", LinkedFilter),
        ("organization", LinkedFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    id_lookups = ("organization", "key")
    email_lookups = ("user__email",)
    search_fields = ("network", "reason", "organization__name")
    search_help_text = (
        "An e-mail address, an id of an organization or key, or a part of an address, of an "
        "organization's name or of a reason."
    )
    service_actions = (
        ServiceAction(
            name="remove",
            label="Remove",
            done="Removed",
            effect="What these lay down ends in every process within two seconds: blocks are "
            "lifted, and the numbers of the settings hold again.",
            permission=DELETE,
            perform=_remove,
            fits=lambda _: True,
            deletes=True,
        ),
        ServiceAction(
            name="turn_off",
            label="Turn off",
            done="Turned off",
            effect="What these lay down ends within two seconds. They stay, and can be turned on.",
            permission=CHANGE,
            perform=lambda user, rule: _turn(user, rule, enabled=False),
            fits=lambda rule: rule.enabled,
        ),
        ServiceAction(
            name="turn_on",
            label="Turn on",
            done="Turned on",
            effect="What these lay down holds again within two seconds, if its time is not over. "
            "Blocks refuse everything of whom they are for.",
            permission=CHANGE,
            perform=lambda user, rule: _turn(user, rule, enabled=True),
            fits=lambda rule: not rule.enabled,
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(ADD))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(CHANGE))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        initial = {"who": request.GET.get("who", ""), "limiter": request.GET.get("limiter", "")}
        return self._form_view(request, RuleForm(data=request.POST or None, initial=initial))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        rule = self.get_object(request, object_id)
        if rule is None or not self.has_change_permission(request, rule):
            return super().change_view(request, object_id, form_url, extra_context)
        form = RuleForm(rule=rule, data=request.POST or None, initial=RuleForm.filled(rule))
        return self._form_view(request, form)

    def _form_view(self, request: HttpRequest, form: RuleForm) -> HttpResponse:
        """Asks, asks again where it blocks, then does it."""
        if request.method == "POST" and form.is_valid():
            try:
                wanted = _wanted(form)
                if wanted.is_block and not request.POST.get("confirmed"):
                    return self._page(request, form, wanted=wanted)
                return self._save(request, form)
            except InvalidInput as error:
                form.tell(error)
        return self._page(request, form)

    def _save(self, request: HttpRequest, form: RuleForm) -> HttpResponse:
        by, given = cast(User, request.user), form.given
        if form.rule is None:
            rule = add_rule(by=by, **given)
            self.log_addition(request, rule, "Added.")
        else:
            rule = change_rule(by=by, rule=form.rule, **given)
            self.log_change(request, rule, "Changed.")
        told = f"{rule}: {rule.effect}. In force everywhere within two seconds."
        self.message_user(request, told, messages.SUCCESS)
        return redirect(url_of(rule))

    def _page(
        self, request: HttpRequest, form: RuleForm, wanted: RateLimitRule | None = None
    ) -> HttpResponse:
        rule = form.rule
        title = "Block" if wanted else f"Rule for {rule}" if rule else "Add rule"
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "form": form,
            "original": rule,
            "wanted": wanted,
            "hits": _hits(request, wanted) if wanted else [],
            "row_actions": [e for e in self._allowed(request) if e.fits(rule)] if rule else [],
        }
        return TemplateResponse(request, "admin/ratelimits/rule.html", context)

    @admin.display(description="limiter")
    def limiter_shown(self, rule: RateLimitRule) -> str:
        return rule.limiter or "every limiter"

    @admin.display(description="for")
    def target_shown(self, rule: RateLimitRule) -> SafeString | str:
        row = rule.user or rule.organization or rule.key
        return link_to(row) if row else rule.network

    @admin.display(description="lays down")
    def effect(self, rule: RateLimitRule) -> str:
        return rule.effect

    @admin.display(description="state")
    def state_shown(self, rule: RateLimitRule) -> SafeString:
        return state_of(rule.state(timezone.now()))

    @admin.display(description="by")
    def maker(self, rule: RateLimitRule) -> str:
        return str(rule.made_by or "Docmill")


def _wanted(form: RuleForm) -> RateLimitRule:
    """The rule as it would be. Raises InvalidInput."""
    if form.rule is None:
        return new_rule(**form.given)
    kept = ("limiter", "user", "organization", "key", "network")
    same = {name: getattr(form.rule, name) for name in kept}
    rule = RateLimitRule(pk=form.rule.pk, **same, **form.given)
    rule._state.adding = False
    return rule


def _hits(request: HttpRequest, rule: RateLimitRule) -> list[str]:
    """What a block does that its maker may not think of."""
    told = []
    if rule.network:
        network = ip_network(rule.network)
        if network.num_addresses > 1 and network.version == 4:
            told.append(f"These are {network.num_addresses:,} addresses.")
        own = ip_address(client_address(request) or "0.0.0.0")  # noqa: S104  nobody's address
        if own.version == network.version and own in network:
            told.append("You are at one of these addresses yourself.")
    if rule.user_id == request.user.pk:
        told.append("It is you.")
    return told
