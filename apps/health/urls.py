from django.urls import path

from apps.health import scraping, views

urlpatterns = [
    path("health", views.health, name="health"),
    path("health/live", views.live, name="health-live"),
    path("health/ready", views.ready, name="health-ready"),
    path("api/health", views.health, name="api-health"),
    path("metrics", scraping.view, name="metrics"),
    path("api/health/details", views.health_details, name="health-details"),
]
