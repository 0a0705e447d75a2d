from django.urls import path

from apps.notifications import api

urlpatterns = [
    path("notifications", api.NotificationList.as_view(), name="notifications"),
    path("notifications/unread", api.NotificationsUnread.as_view(), name="notifications-unread"),
    path("notifications/read", api.NotificationsRead.as_view(), name="notifications-read"),
    path(
        "notifications/preferences",
        api.NotificationPreferences.as_view(),
        name="notification-preferences",
    ),
    path(
        "notifications/<uuid:notification_id>",
        api.NotificationDetail.as_view(),
        name="notification",
    ),
]
