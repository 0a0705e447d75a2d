from django.urls import path

from apps.webhooks.api import deliveries, endpoints

ENDPOINT = "webhooks/<uuid:endpoint_id>"
DELIVERY = "webhooks/deliveries/<uuid:delivery_id>"

urlpatterns = [
    path("webhooks", endpoints.EndpointList.as_view(), name="webhooks"),
    path(ENDPOINT, endpoints.EndpointDetail.as_view(), name="webhook"),
    path(f"{ENDPOINT}/test", endpoints.EndpointTest.as_view(), name="webhook-test"),
    path(f"{ENDPOINT}/rotate", endpoints.EndpointRotate.as_view(), name="webhook-rotate"),
    path(f"{ENDPOINT}/secret", endpoints.EndpointSecret.as_view(), name="webhook-secret"),
    path(f"{ENDPOINT}/deliveries", deliveries.DeliveryList.as_view(), name="webhook-deliveries"),
    path(DELIVERY, deliveries.DeliveryDetail.as_view(), name="webhook-delivery"),
    path(f"{DELIVERY}/redeliver", deliveries.DeliveryAgain.as_view(), name="webhook-redeliver"),
]
