"""What browsers and crawlers ask of every site by themselves."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from apps.ratelimits.decorators import never_limited


@never_limited
@require_safe
@cache_control(public=True, max_age=86400)
def favicon(_: HttpRequest) -> HttpResponse:
    """Where the icon is, for pages that do not say it, such as a download in a tab."""
    return redirect(static("web/icon.svg"))


@never_limited
@require_safe
@cache_control(public=True, max_age=86400)
def robots(_: HttpRequest) -> HttpResponse:
    """Nothing here is for a search engine."""
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")
