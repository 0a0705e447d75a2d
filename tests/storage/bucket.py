"""A real server that speaks S3, in a process of its own, which a test may kill and freeze."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from django.db import connections

from apps.jobs.places.client import client
from tests.processes import BASE_DIR, launch

START_SECONDS = 60.0
BUCKET = "docmill"


class Server:
    def __init__(self, folder: Path) -> None:
        self._log = folder / "moto.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.url = f"s3://{BUCKET}/bytes?endpoint={self.endpoint}&region=us-east-1"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, empty but for the bucket; returns when it answers."""
        program = BASE_DIR / ".venv/bin/moto_server"
        self._process = launch(
            [program, "-H", "127.0.0.1", "-p", str(self.port)], log=self._log, env=dict(os.environ)
        )
        until = time.monotonic() + START_SECONDS
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.05)
        self.client.create_bucket(Bucket=BUCKET)

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def empty(self) -> None:
        """With the bucket, and nothing in it."""
        if BUCKET not in [each["Name"] for each in self.client.list_buckets()["Buckets"]]:
            self.client.create_bucket(Bucket=BUCKET)
        for name in self.names():
            self.client.delete_object(Bucket=BUCKET, Key=name)

    def names(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=BUCKET)
        return [each["Key"] for each in listed.get("Contents", ())]

    def remove_bucket(self) -> None:
        self.empty()
        self.client.delete_bucket(Bucket=BUCKET)

    def freeze(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """It knows no key any more, as when ours was revoked."""
        self._check_keys("0")
        try:
            yield
        finally:
            self._check_keys("inf")

    def _check_keys(self, after_calls: str) -> None:
        url = f"{self.endpoint}/moto-api/reset-auth"
        kind = {"Content-Type": "text/plain"}
        request = urllib.request.Request(url, data=after_calls.encode(), headers=kind)
        with urllib.request.urlopen(request, timeout=10):
            pass

    @contextmanager
    def watched(self) -> Iterator[list[tuple[str, bool]]]:
        """What it is asked for by us, and whether the thread that began to watch was in a
        transaction then."""
        mine, found = connections["default"], list[tuple[str, bool]]()

        def note(model: Any, **_: Any) -> None:
            found.append((model.name, mine.in_atomic_block))

        clients = [client(self.endpoint, "us-east-1", is_held=held) for held in (False, True)]
        for each in clients:
            each.meta.events.register("before-call.s3", note)
        try:
            yield found
        finally:
            for each in clients:
                each.meta.events.unregister("before-call.s3", note)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
