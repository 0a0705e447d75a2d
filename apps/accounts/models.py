"""Users, organizations, memberships, API keys, and the base of every row an organization owns."""

from datetime import datetime
from typing import Any, ClassVar, Self, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from apps.accounts.names import NAME_MAX_LENGTH
from apps.accounts.roles import Role
from apps.core.ids import uuid7

ROLE_NAMES = [role.value for role in Role]
ROLE_CHOICES = [(name, name) for name in ROLE_NAMES]
ROLE_MAX_LENGTH = 16


class UserManager(BaseUserManager["User"]):
    """What Django's own commands and back ends ask of users; Docmill's code calls the services."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=self.normalize_email(username))

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """The one way an address is written here: trimmed, lower case."""
        return (email or "").strip().lower()

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        # The services import this module.
        from apps.accounts.services import create_user

        return create_user(email=email, password=password, **fields)

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        rights = {"is_staff": True, "is_superuser": True}
        return self.create_user(email, password, **(fields | rights))


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Signs in with an e-mail address, which is stored in lower case and so is unique
    whatever the case it is typed in."""

    email = models.EmailField(
        "e-mail address",
        unique=True,
        error_messages={"unique": "Somebody else uses this e-mail address."},
    )
    name = models.CharField(max_length=NAME_MAX_LENGTH, blank=True)
    is_active = models.BooleanField(
        "active", default=True, help_text="Inactive people can neither sign in nor use their keys."
    )
    is_staff = models.BooleanField(
        "staff", default=False, help_text="May open the admin, with the permissions given there."
    )
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="accounts_user_email_lower_case"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = UserManager.normalize_email(self.email)


class TenantQuerySet(models.QuerySet["Organization"]):
    """Organizations."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Those that `user` is a member of."""
        return self.filter(pk__in=_organizations_of(user))


class Organization(models.Model):
    """The tenant that owns everything. Each user has a personal one, where they are alone."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=NAME_MAX_LENGTH)
    personal_of = models.OneToOneField(
        User,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        editable=False,
        related_name="personal_organization",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Nobody is a member any more; what it owns is being taken away, and then it goes.
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


OwnedT = TypeVar("OwnedT", bound=models.Model)


class OrganizationQuerySet(models.QuerySet[OwnedT]):
    """Rows with a foreign key `organization`: the two doors through which they are read.

    A subclass that adds readings of its own is `class JobQuerySet(OrganizationQuerySet["Job"])`.
    """

    def in_organization(self, organization: Organization) -> Self:
        """Those of one organization."""
        return self.filter(organization=organization)

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Those of every organization that `user` is a member of; none for the anonymous.

        No join: rows come once each, and can be locked, updated and deleted as they are.
        """
        return self.filter(organization__in=_organizations_of(user))


class OrganizationOwned(models.Model):
    """Abstract base of every row that belongs to an organization.

    An organization that still owns something cannot be deleted: what is stored for it, bytes
    included, is taken away first, by the code that knows how.
    """

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        abstract = True


class Membership(models.Model):
    """A user's role in an organization. Who joined earlier has the lower key."""

    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=ROLE_MAX_LENGTH, choices=ROLE_CHOICES)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"], name="accounts_membership_once"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=ROLE_NAMES), name="accounts_membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class ApiKeyQuerySet(OrganizationQuerySet["ApiKey"]):
    """API keys."""

    def with_member_role(self) -> Self:
        """Each with `member_role`: its person's role in its organization today, or None."""
        membership = Membership.objects.filter(
            user=models.OuterRef("user"), organization=models.OuterRef("organization")
        )
        return self.annotate(member_role=models.Subquery(membership.values("role")))

    def live(self) -> Self:
        """Those that are neither revoked nor expired."""
        unending = models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now())
        return self.filter(unending, revoked_at=None)


class ApiKey(models.Model):
    """A secret with which a program acts for one user in one organization.

    Only the SHA-256 of the token is kept. A slow hash would add nothing: the token is 256 random
    bits, not something a person chose.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="api_keys"
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=NAME_MAX_LENGTH)
    role = models.CharField(max_length=ROLE_MAX_LENGTH, choices=ROLE_CHOICES)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    member_role: str | None  # on the rows of `with_member_role`

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=ROLE_NAMES), name="accounts_apikey_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}...)"

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over at `now`; the moment of expiry itself counts as over."""
        return self.expires_at is not None and self.expires_at <= now


class InvitationQuerySet(OrganizationQuerySet["Invitation"]):
    """Invitations."""

    def good(self) -> Self:
        """Those whose time is not over."""
        return self.filter(expires_at__gt=timezone.now())


class Invitation(models.Model):
    """That `email` may become a member. It is there until it is accepted or revoked.

    Its link is signed, not stored: see `apps.accounts.services.invitations`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="invitations"
    )
    email = models.EmailField("e-mail address")
    role = models.CharField(max_length=ROLE_MAX_LENGTH, choices=ROLE_CHOICES)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sent_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"], name="accounts_invitation_once"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=ROLE_NAMES), name="accounts_invitation_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.role})"

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()


class SignedIn(models.Model):
    """A session of somebody's in a browser, for them to see and end. It goes with the session."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    session = models.OneToOneField("sessions.Session", on_delete=models.CASCADE)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    began_at = models.DateTimeField(default=timezone.now, editable=False)
    agent = models.CharField(max_length=300, blank=True)  # what the browser calls itself

    def __str__(self) -> str:
        return f"{self.user} {self.began_at:%Y-%m-%d %H:%M}"


def _organizations_of(user: User | AnonymousUser) -> models.QuerySet[Membership, Any]:
    """The ids of the organizations that `user` is a member of, as a subquery."""
    memberships = Membership.objects.all()
    mine = memberships.filter(user=user) if isinstance(user, User) else memberships.none()
    return mine.values("organization_id")
