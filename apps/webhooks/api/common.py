"""What all views of webhooks share."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.webhooks.errors import WebhooksOff


class WebhookView(APIView):
    """Answers only while webhooks are on, and only who may ask at all is told so."""

    limiters = ("api",)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not settings.ENABLE_WEBHOOKS:
            raise WebhooksOff
