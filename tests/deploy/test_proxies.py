"""What people send comes through nginx and Caddy as it was sent, also while web servers are
replaced."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import pytest

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from tests.deploy.describing import ROOT
from tests.deploy.proxies import Caddy, Nginx, Proxy
from tests.deploy.rehearsal import COLLECT
from tests.jobs.forms import BOUNDARY, body_of, part
from tests.jobs.serving import free_port
from tests.processes import Process, eventually

pytestmark = [pytest.mark.once, pytest.mark.tools, pytest.mark.timeout(300)]

CLIENT = "127.0.0.9"
FORGED = "203.0.113.66"
MEGABYTE = 1024 * 1024


class Site:
    """Two web servers and a worker behind a proxy."""

    def __init__(self, folder: Path, manage: Callable[..., Process], kind: type[Proxy]) -> None:
        self.folder = folder
        self._manage = manage
        self.data = folder / "data"
        self.env = {
            "DOCMILL_DATA_DIR": str(self.data),
            "STATIC_ROOT": str(folder / "static"),
            "ENVIRONMENT": "production",
            "ALLOWED_HOSTS": "localhost",
            "HTTPS_ONLY": "true",
            "HTTPS_PROXY_HEADER": "X-Forwarded-Proto",
            "TRUSTED_PROXIES": "127.0.0.1",
            "SHUTDOWN_GRACE_SECONDS": "20",
        }
        env = {**os.environ, **self.env, "DJANGO_SETTINGS_MODULE": "config.settings"}
        subprocess.run(
            [sys.executable, "-c", COLLECT],
            cwd=folder,
            env=env | {"PYTHONPATH": str(ROOT)},
            check=True,
        )
        self.ports = [free_port(), free_port()]
        self.webs = [self.start(port) for port in self.ports]
        self.worker = manage("work", "--lanes", "default", "--slots", "1", "--loop", env=self.env)
        for port, web in zip(self.ports, self.webs, strict=True):
            web.wait_for(lambda port=port: serves(port), seconds=90)  # type: ignore[misc]
        (folder / "proxy").mkdir()
        self.proxy = kind(folder / "proxy", self.ports)

    def start(self, port: int) -> Process:
        return self._manage("web", "--port", str(port), "--processes", "2", env=self.env)

    def replace(self, number: int) -> int:
        """Stops a web server as an engine does, and starts another in its place; its exit code."""
        code = self.webs[number].terminate(seconds=40)
        port = self.ports[number]
        self.webs[number] = self.start(port)
        self.webs[number].wait_for(lambda: serves(port), seconds=90)
        return code

    def verify(self, key: str) -> tuple[int, dict[str, tuple[str, str]]]:
        done = subprocess.run(
            [sys.executable, "manage.py", "verify_deployment", "--url", self.proxy.url, "--json"],
            cwd=ROOT,
            env={**os.environ, "DOCMILL_API_KEY": key, "SSL_CERT_FILE": str(self.proxy.authority)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        checks = json.loads(done.stdout)["checks"]
        return done.returncode, {each["name"]: (each["status"], each["detail"]) for each in checks}

    def log(self) -> str:
        return "".join(web.output for web in self.webs)

    def connect(self) -> ssl.SSLSocket:
        """From an address of its own, so that it can be told from the proxy's."""
        plain = socket.create_connection(
            ("127.0.0.1", self.proxy.port), timeout=30, source_address=(CLIENT, 0)
        )
        return self.proxy.trust().wrap_socket(plain, server_hostname="localhost")


def serves(port: int) -> bool:
    with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.timeout = 3
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    return False


@pytest.fixture(params=[Nginx, Caddy], ids=["nginx", "caddy"])
def site(
    request: pytest.FixtureRequest, tmp_path: Path, manage: Callable[..., Process]
) -> Iterator[Site]:
    site = Site(tmp_path, manage, request.param)
    yield site
    site.proxy.close()


@pytest.fixture
def key(alice: User, acme: Organization) -> str:
    return create_api_key(organization=acme, user=alice, name="proxy")[1]


def test_everything_comes_through(site: Site, key: str) -> None:
    code, checks = site.verify(key)
    assert code == 0, checks
    assert {name for name, (status, _) in checks.items() if status == "weak"} <= {"health"}, checks

    # Whoever asks cannot say where they come from, or by what scheme.
    with site.connect() as client:
        forged = f"X-Forwarded-For: {FORGED}\r\nX-Forwarded-Proto: http\r\nX-Request-ID: forged-1"
        client.sendall(f"GET /sign-in HTTP/1.1\r\nHost: localhost\r\n{forged}\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    eventually(lambda: "forged-1" in site.log())
    [line] = [line for line in site.log().splitlines() if "forged-1" in line]
    assert CLIENT in line
    assert FORGED not in line

    # http:// leads to https://
    plain = httpx.get(f"http://localhost:{site.proxy.plain_port}/jobs")
    assert plain.status_code == 308
    assert plain.headers["location"].startswith("https://localhost")

    # What is uploaded is written down while it comes, and not kept back until it is whole.
    form = body_of([part(os.urandom(4 * MEGABYTE).hex().encode(), "a.txt")])
    with site.connect() as client:
        names = f"Authorization: Bearer {key}\r\nContent-Type: multipart/form-data; boundary="
        client.sendall(
            f"POST /api/batch/upload HTTP/1.1\r\nHost: localhost\r\n{names}{BOUNDARY}\r\n"
            f"Content-Length: {len(form)}\r\n\r\n".encode()
        )
        client.sendall(form[: len(form) // 2])
        eventually(lambda: arrived(site) > MEGABYTE)
        client.sendall(form[len(form) // 2 :])
        assert client.recv(100).startswith(b"HTTP/1.1 202")


def arrived(site: Site) -> int:
    """Bytes of uploads under way."""
    incoming = site.data / "incoming"
    with suppress(OSError):
        return sum(path.stat().st_size for path in incoming.rglob("*") if path.is_file())
    return 0


def test_nothing_is_lost_while_web_servers_are_replaced(site: Site, key: str) -> None:
    answers: Counter[str] = Counter()
    done = threading.Event()

    def ask(number: int) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(verify=site.proxy.trust(), timeout=30) as http:
            while not done.is_set():
                try:
                    page = http.get(f"{site.proxy.url}/sign-in")
                    answers[f"GET {page.status_code}"] += 1
                    files = {"file": ("a.txt", f"{number} {time.monotonic()}".encode())}
                    sent = http.post(
                        f"{site.proxy.url}/api/batch/upload", files=files, headers=headers
                    )
                    answers[f"POST {sent.status_code}"] += 1
                except httpx.HTTPError as error:
                    answers[type(error).__name__] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: answers["POST 202"] > 10)
        codes = [site.replace(0), site.replace(1)]
        before = answers.total()
        eventually(lambda: answers.total() > before + 20)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert set(answers) - site.proxy.may_answer() == {"GET 200", "POST 202"}, answers
    assert answers["POST 502"] < answers["POST 202"] / 10
    assert codes == [0, 0]
