"""The pages of the settings, with what is empty, long or wrong on them."""

from playwright.sync_api import Page

from tests.browser.shown import NOBODY, Shown, click


def bad_profile(page: Page) -> None:
    page.locator("#id_password_password").fill("not the password")
    page.locator("#id_password_new_password").fill("another mill, upstream")
    page.get_by_role("button", name="Change the password").click()
    page.get_by_role("alert").wait_for()


def invite_again(page: Page) -> None:
    page.locator("#id_invite_email").fill("guest@example.com")
    page.get_by_role("button", name="Send the invitation").click()
    page.get_by_role("alert").wait_for()


def make_a_key(page: Page) -> None:
    page.locator("#id_key_label").fill("Scanner in the cellar")
    page.get_by_role("button", name="Make the key").click()
    page.locator("#token").wait_for()


def a_key_without_a_name(page: Page) -> None:
    page.evaluate("document.querySelector('#id_key_label').required = false")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("alert").wait_for()


def delete_while_busy(page: Page) -> None:
    page.locator("#id_typed").fill("Harbour Office")
    page.get_by_role("button", name="Delete the organization").click()
    page.get_by_role("alert").wait_for()


def delete_by_another_name(page: Page) -> None:
    page.locator("#id_typed").fill("Harbour")
    page.get_by_role("button", name="Delete the organization").click()
    page.get_by_role("alert").wait_for()


def delete_with_another_password(page: Page) -> None:
    page.locator("#id_typed").fill("lou@example.com")
    page.locator("#id_password").fill("not the password")
    page.get_by_role("button", name="Delete the account").click()
    page.get_by_role("alert").wait_for()


MEMBERS = (
    Shown("members", "/settings/members"),
    Shown("members, roles", "/settings/members", prepare=click(".about-roles > summary")),
    Shown("members for a contributor", "/settings/members", "carla"),
    Shown("members for a reader", "/settings/members", "rita"),
    Shown("members of one's own", "/settings/members", "nora"),
    Shown("members of a long name", "/settings/members", "lou"),
    Shown("members, invited already", "/settings/members", prepare=invite_again),
    Shown("remove a member", "/settings/members/{member}/remove"),
    Shown("leave", "/settings/members/{member}/remove", "carla"),
    Shown("revoke an invitation", "/settings/invitations/{guest-id}/revoke"),
    Shown("invited, new", "/invitations/{guest}", NOBODY),
    Shown("invited, known", "/invitations/{known}", NOBODY),
    Shown("invited, signed in", "/invitations/{known}", "nora"),
    Shown("invited, as another", "/invitations/{known}", "wendy"),
)
KEYS = (
    Shown("keys", "/settings/keys"),
    Shown("keys empty", "/settings/keys", "nora"),
    Shown("keys for a reader", "/settings/keys", "rita"),
    Shown("keys, made", "/settings/keys", "wendy", prepare=make_a_key),
    Shown("keys, without a name", "/settings/keys", "wendy", prepare=a_key_without_a_name),
    Shown("revoke a key", "/settings/keys/{key}/revoke"),
)
SETTINGS = (
    *MEMBERS,
    *KEYS,
    Shown("profile", "/settings/profile"),
    Shown("profile, wrong password", "/settings/profile", "wendy", prepare=bad_profile),
    Shown("confirm an address", "/settings/address/{address}", NOBODY),
    Shown("organization", "/settings/organization"),
    Shown("organization for a reader", "/settings/organization", "rita"),
    Shown("organization of one's own", "/settings/organization", "nora"),
    Shown("organization of a long name", "/settings/organization", "lou"),
    Shown("new organization", "/settings/organization/new"),
    Shown("delete the organization", "/settings/organization/delete", "lou"),
    Shown(
        "delete the organization, another name",
        "/settings/organization/delete",
        prepare=delete_by_another_name,
    ),
    Shown(
        "delete the organization, busy", "/settings/organization/delete", prepare=delete_while_busy
    ),
    Shown("one's data", "/settings/account"),
    Shown("delete the account", "/settings/account/delete", "lou"),
    Shown(
        "delete the account, another password",
        "/settings/account/delete",
        "lou",
        prepare=delete_with_another_password,
    ),
)
