"""A server on this machine that takes what Sentry's client and OpenTelemetry's exporter send."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Sink:
    """`envelopes` are the items of each envelope: (header, payload). `raw` is all that came, in
    clear. While `is_slow` nothing is answered."""

    port: int = 0
    envelopes: list[list[tuple[dict[str, Any], bytes]]] = field(default_factory=list)
    exports: list[ExportTraceServiceRequest] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    is_slow: bool = False

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self.port}/1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def events(self) -> list[dict[str, Any]]:
        """Those of Sentry that tell of an error."""
        return [
            json.loads(payload)
            for items in self.envelopes
            for header, payload in items
            if header["type"] == "event"
        ]

    def spans(self) -> list[Span]:
        return [
            span
            for export in self.exports
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def items_of(envelope: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """As https://develop.sentry.dev/sdk/data-model/envelopes/ has it: a line of headers, then for
    each item a line of headers, its payload of `length` bytes or to the end of the line."""
    _, _, rest = envelope.partition(b"\n")
    items = []
    while rest.strip():
        head, _, rest = rest.partition(b"\n")
        header = json.loads(head)
        length = header.get("length", rest.find(b"\n") if b"\n" in rest else len(rest))
        items.append((header, rest[:length]))
        rest = rest[length:].removeprefix(b"\n")
    return items


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Sentry's client takes Brotli where that is installed."""
    if encoding == "br":
        import brotli

        return bytes(brotli.decompress(body))
    return gzip.decompress(body) if encoding == "gzip" else body


class _Handler(BaseHTTPRequestHandler):
    sink: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = _unpacked(body, self.headers.get("Content-Encoding", ""))
        while self.sink.is_slow:
            time.sleep(0.05)
        self.sink.raw.append(body)
        if self.path == "/v1/traces":
            export = ExportTraceServiceRequest()
            export.ParseFromString(body)
            self.sink.exports.append(export)
        elif self.path == "/api/1/envelope/":
            self.sink.envelopes.append(items_of(body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running() -> Iterator[Sink]:
    sink = Sink()
    handler = type("Handler", (_Handler,), {"sink": sink})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield sink
    sink.is_slow = False
    server.shutdown()
    server.server_close()
    thread.join()
