"""What can be wrong with what is asked of webhooks."""

from http import HTTPStatus

from apps.core.errors import DocmillError

OFF_RETRY_SECONDS = 300


class WebhooksOff(DocmillError):
    """ENABLE_WEBHOOKS is off: what there is is kept, and sent once it is on again."""

    code = "webhook.off"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Webhooks are switched off on this installation"

    def __init__(self) -> None:
        super().__init__(
            "What was set up is kept, and what happens meanwhile is sent once they are on again.",
            retry_after=OFF_RETRY_SECONDS,
        )


class TooManyEndpoints(DocmillError):
    code = "webhook.too_many"
    status = HTTPStatus.CONFLICT
    title = "The organization has as many endpoints as it may"


class EndpointDisabled(DocmillError):
    code = "webhook.disabled"
    status = HTTPStatus.CONFLICT
    title = "The endpoint is disabled"


class SecretLost(DocmillError):
    """It was sealed with a SECRET_KEY that is not known here any more."""

    code = "webhook.secret_lost"
    status = HTTPStatus.CONFLICT
    title = "The secret cannot be opened any more"
