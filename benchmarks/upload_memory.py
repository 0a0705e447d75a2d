"""Memory of every web process while it receives a full batch: 50 files of 50 MB.

    .venv/bin/python benchmarks/upload_memory.py [--files 50] [--megabytes 50] [--at-once 2]

Starts the web server as `manage.py up` does, on a data directory of its own, and sends the batches
over loopback. Prints, for each process of the server, its idle and its peak proportional set size
(PSS: /proc/PID/smaps_rollup), sampled every 50 ms.
"""

import argparse
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1024 * 1024
BOUNDARY = "docmill-benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=2, help="batches sent at the same time")
    chosen = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="docmill-benchmark-"))
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "REDIS_URL")
    } | {"DOCMILL_DATA_DIR": str(directory)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "manage.py"), "up", "--port", str(port)]
    service = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        measure(service.pid, f"http://127.0.0.1:{port}", directory / "api_key", chosen)
    finally:
        service.terminate()
        service.wait()
        shutil.rmtree(directory)


def measure(pid: int, url: str, key_file: Path, chosen: argparse.Namespace) -> None:
    """Sends the batches and prints the table."""
    wait_until_ready(url, key_file)
    idle = sample(pid)
    peak = dict(idle)
    done = threading.Event()
    watcher = threading.Thread(target=watch, args=(pid, peak, done))
    watcher.start()
    started = time.perf_counter()
    answers = send_all(url, key_file.read_text().strip(), chosen)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    total = chosen.files * chosen.megabytes * chosen.at_once
    print(
        f"{chosen.at_once} batches of {chosen.files} files of {chosen.megabytes} MB at once: "
        f"{total} MB in {seconds:.1f} s, answers {sorted(answers)}"
    )
    print(f"{'process':>10} {'idle PSS MB':>12} {'peak PSS MB':>12}")
    for process in sorted(peak):
        print(f"{process:>10} {idle.get(process, 0) / 1024:>12.1f} {peak[process] / 1024:>12.1f}")


def wait_until_ready(url: str, key_file: Path) -> None:
    for _ in range(600):
        try:
            if key_file.exists() and httpx.get(f"{url}/health").status_code == 200:
                break
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    time.sleep(3)  # let the start settle


def send_all(url: str, key: str, chosen: argparse.Namespace) -> list[int]:
    """The status of each batch's answer."""
    answers: list[int] = []
    files, megabytes = chosen.files, chosen.megabytes

    def send() -> None:
        length = sum(map(len, parts(files, 0))) + files * megabytes * MEGABYTE
        answer = httpx.post(
            f"{url}/api/batch/upload",
            headers={
                "Authorization": f"Bearer {key}",
                "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
                "Content-Length": str(length),
            },
            content=parts(files, megabytes),
            timeout=600,
        )
        answers.append(answer.status_code)

    threads = [threading.Thread(target=send) for _ in range(chosen.at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def parts(files: int, megabytes: int) -> Iterator[bytes]:
    """A multipart body of text files, each different, made while it is sent."""
    block = (secrets.token_hex(31) + "\n ").encode() * (MEGABYTE // 64)
    for number in range(files):
        name = f"file-{number:02d}.txt"
        yield (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: text/plain\r\n\r\n"
        ).encode()
        for _ in range(megabytes):
            yield block
        yield b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def sample(pid: int) -> dict[int, int]:
    """PSS in kB of each web process below `pid`."""
    found = {}
    for process in children(pid):
        try:
            if b"granian" not in Path(f"/proc/{process}/cmdline").read_bytes():
                continue
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        found[process] = int(rollup.split("Pss:")[1].split()[0])
    return found


def children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
        direct = [int(child) for task in tasks for child in task.read_text().split()]
    except OSError:  # gone since
        return []
    return [each for child in direct for each in [child, *children(child)]]


def watch(pid: int, peak: dict[int, int], done: threading.Event) -> None:
    while not done.wait(0.05):
        for process, size in sample(pid).items():
            peak[process] = max(size, peak.get(process, 0))


if __name__ == "__main__":
    main()
