"""nginx and Caddy in front of real web servers, with the files of deploy/ as they are but for
ports, names and certificates."""

import os
import re
import ssl
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.deploy.describing import ROOT
from tests.jobs.serving import free_port
from tests.processes import launch


class Proxy:
    """`url` is where people reach it, `authority` the file with the certificate to trust."""

    name = ""

    def __init__(self, folder: Path, upstreams: Sequence[int]) -> None:
        self.folder = folder
        self.upstreams = upstreams
        self.plain_port, self.port = free_port(), free_port()
        self.url = f"https://localhost:{self.port}"
        self.log = folder / f"{self.name}.log"
        self.authority = folder / "authority.pem"
        self._popen = launch(self.command(), log=self.log, env={**os.environ, **self.environment()})
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def may_answer(self) -> set[str]:
        """What it is known to answer wrongly while a web server is replaced."""
        return set()

    def trust(self) -> ssl.SSLContext:
        """Trusts its certificate alone. Raises OSError where it is not there yet."""
        return ssl.create_default_context(cafile=str(self.authority))

    def close(self) -> None:
        self._popen.terminate()
        self._popen.wait(20)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            assert self._popen.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                # Who asks for the handshake only learns whether the certificate is there.
                httpx.get(self.url, verify=self.trust(), timeout=5)
                return
            except (httpx.TransportError, OSError):
                time.sleep(0.1)


class Nginx(Proxy):
    name = "nginx"

    def command(self) -> list[str]:
        key = self.folder / "key.pem"
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        files = ["-keyout", str(key), "-out", str(self.authority)]
        subprocess.run([*made, *named, *files], check=True, capture_output=True)
        text = (ROOT / "deploy" / "nginx" / "docmill.conf").read_text()
        [server] = re.findall(r"    server 127\.0\.0\.1:8000 (.*);\n", text)
        servers = "".join(f"    server 127.0.0.1:{port} {server};\n" for port in self.upstreams)
        for old, new in (
            (f"    server 127.0.0.1:8000 {server};\n", servers),
            ("listen 80;", f"listen 127.0.0.1:{self.plain_port};"),
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            ("docs.example.com;", "localhost;"),
            ("/etc/ssl/certs/docs.example.com.pem", str(self.authority)),
            ("/etc/ssl/private/docs.example.com.key", str(key)),
        ):
            assert old in text, old
            text = text.replace(old, new)
        text = re.sub(r"    listen \[::\].*\n", "", text)
        (self.folder / "docmill.conf").write_text(text)
        paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"    {name}_temp_path {self.folder}/{name};\n" for name in paths)
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\npid {self.folder}/nginx.pid;\nerror_log stderr warn;\n"
            f"{'user root;' if os.geteuid() == 0 else ''}\n"
            "events {}\nhttp {\n    access_log off;\n"
            f"{temporary}    include {self.folder}/docmill.conf;\n}}\n"
        )
        own = ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        done = subprocess.run([*own, "-t"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return own


class Caddy(Proxy):
    name = "caddy"

    def command(self) -> list[str]:
        self.authority = self.folder / "caddy/pki/authorities/local/root.crt"
        own = f"""{{
    admin off
    skip_install_trust
    http_port {self.plain_port}
    https_port {self.port}
}}
"""
        text = (ROOT / "deploy" / "caddy" / "Caddyfile").read_text()
        (self.folder / "Caddyfile").write_text(own + text)
        return [
            "caddy",
            "run",
            "--config",
            str(self.folder / "Caddyfile"),
            "--adapter",
            "caddyfile",
        ]

    def may_answer(self) -> set[str]:
        """Up to 2.11.1 it closes the body of an upload when a web server refuses the connection,
        and has none left for the next one (caddyserver/caddy#7546)."""
        done = subprocess.run(["caddy", "version"], capture_output=True, text=True, check=True)
        [parts] = re.findall(r"^v?(\d+)\.(\d+)\.(\d+)", done.stdout)
        return {"POST 502"} if tuple(map(int, parts)) < (2, 11, 2) else set()

    def environment(self) -> dict[str, str]:
        upstreams = " ".join(f"127.0.0.1:{port}" for port in self.upstreams)
        places = {"XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        return {"DOMAIN": "localhost", "DOCMILL_UPSTREAMS": upstreams, **places}
