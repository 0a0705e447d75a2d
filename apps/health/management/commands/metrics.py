import ipaddress
from argparse import ArgumentParser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import Any

from django.core.management.base import CommandError
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from apps.core.commands import OwnCommand
from apps.core.errors import DocmillError
from apps.health.instance import numeric_address
from apps.health.scraping import PATH, exposition, may_read


class Command(OwnCommand):
    help = """Tell what the processes of this machine have counted, in Prometheus' text format.
With --listen, to Prometheus, on a machine with workers and no web server: what all machines read
from the same database is left out there, for /metrics tells it.

  manage.py metrics
  manage.py metrics --listen 0.0.0.0:9464
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--listen", metavar="ADDRESS:PORT", help="answer /metrics there")
        parser.add_argument(
            "--shared", action="store_true", help="with --listen: what is in the database as well"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["listen"]:
            try:
                self.stdout.write(exposition().decode())
            except DocmillError as error:
                raise CommandError(f"{error.title}. {error.detail}") from None
            return
        with _server(options["listen"], with_shared=options["shared"]) as server:
            host, port = server.server_address[:2]
            self.stdout.write(f"http://{host!s}:{port}{PATH}")
            self.stdout.flush()
            server.serve_forever()


def _server(listen: str, *, with_shared: bool) -> ThreadingHTTPServer:
    """Raises CommandError where it cannot listen."""
    host, _, port = listen.rpartition(":")

    class Scraped(BaseHTTPRequestHandler):
        timeout = 10  # seconds for a request to come

        def do_GET(self) -> None:
            status, kind, body = _answer(self, with_shared=with_shared)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """One for each scrape would say nothing."""

    try:
        address = numeric_address(host.strip("[]") or "127.0.0.1")

        class Server(ThreadingHTTPServer):
            address_family = AF_INET6 if ipaddress.ip_address(address).version == 6 else AF_INET
            daemon_threads = True

        return Server((address, int(port)), Scraped)
    except (OSError, ValueError, OverflowError) as error:
        raise CommandError(f"Cannot listen at {listen}: {error}. Give ADDRESS:PORT.") from None


def _answer(request: BaseHTTPRequestHandler, *, with_shared: bool) -> tuple[int, str, bytes]:
    """(status, media type, body)."""
    text = "text/plain; charset=utf-8"
    if request.path.partition("?")[0] != PATH:
        return HTTPStatus.NOT_FOUND, text, f"Only {PATH} is here.\n".encode()
    if not may_read(request.headers.get("Authorization", ""), request.client_address[0]):
        told = b"Show METRICS_TOKEN as a bearer token, or ask from METRICS_ALLOWED_NETWORKS.\n"
        return HTTPStatus.FORBIDDEN, text, told
    try:
        return HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, exposition(with_shared=with_shared)
    except DocmillError as error:
        return int(error.status), text, f"{error.title}. {error.detail}\n".encode()
