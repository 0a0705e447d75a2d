"""How organizations, members, invitations and keys look from outside. Fields may be added; these
stay."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from apps.accounts.models import ApiKey, Invitation, Membership, Organization
from apps.accounts.names import NAME_MAX_LENGTH
from apps.accounts.roles import Role

ROLES = [role.value for role in Role]


class PersonSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField()
    name = serializers.CharField(allow_blank=True)


class OrganizationSerializer(serializers.ModelSerializer[Organization]):
    """The organization that the key, or the session, works in."""

    is_personal = serializers.SerializerMethodField(
        help_text="Whether it came with an account, and its person is alone in it."
    )
    role = serializers.SerializerMethodField(help_text="The caller's.")

    class Meta:
        model = Organization
        fields = ["id", "name", "is_personal", "role", "created_at"]

    def get_is_personal(self, organization: Organization) -> bool:
        return organization.personal_of_id is not None

    @extend_schema_field(serializers.ChoiceField(choices=ROLES))
    def get_role(self, _: Organization) -> str:
        return str(self.context["role"])


class NameSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_MAX_LENGTH)


class MemberSerializer(serializers.ModelSerializer[Membership]):
    """A person in the organization."""

    id = serializers.UUIDField(source="public_id")
    user = PersonSerializer()
    role = serializers.ChoiceField(choices=ROLES)
    is_you = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()

    class Meta:
        model = Membership
        fields = ["id", "user", "role", "is_you", "url"]

    def get_is_you(self, membership: Membership) -> bool:
        return bool(membership.user_id == self.context["request"].user.pk)

    def get_url(self, membership: Membership) -> str:
        request = self.context["request"]
        return str(reverse("member", args=[membership.public_id], request=request))


class RoleSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=ROLES)


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """That somebody may become a member. It is there until it is accepted or revoked."""

    role = serializers.ChoiceField(choices=ROLES)
    invited_by = PersonSerializer()
    is_expired = serializers.BooleanField()
    url = serializers.SerializerMethodField()

    class Meta:
        model = Invitation
        fields = [
            "id",
            "email",
            "role",
            "invited_by",
            "created_at",
            "sent_at",
            "expires_at",
            "is_expired",
            "url",
        ]

    def get_url(self, invitation: Invitation) -> str:
        return str(reverse("invitation", args=[invitation.pk], request=self.context["request"]))


class InviteSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=ROLES)


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    """An API key, without its token."""

    user = PersonSerializer()
    role = serializers.ChoiceField(
        choices=ROLES, help_text="The most it may do; never more than its person."
    )
    url = serializers.SerializerMethodField()

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "prefix",
            "user",
            "role",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
            "url",
        ]

    def get_url(self, key: ApiKey) -> str:
        return str(reverse("key", args=[key.pk], request=self.context["request"]))


class NewKeySerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_MAX_LENGTH)
    role = serializers.ChoiceField(
        choices=ROLES, required=False, help_text="Your own when it is left out."
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Never when it is left out."
    )


class MadeKeySerializer(KeySerializer):
    """A new API key, with its token: it is shown in this answer only."""

    token = serializers.SerializerMethodField()

    class Meta(KeySerializer.Meta):
        fields = [*KeySerializer.Meta.fields, "token"]

    def get_token(self, _: ApiKey) -> str:
        return str(self.context["token"])
