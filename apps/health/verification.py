"""What somebody would try by hand after a deployment, over HTTP from outside: `verify_deployment`.

Asks for what a proxy or a setting often spoils: headers, redirects, styles, uploads over a
megabyte, live events; and follows one document through storage, queue, worker and reader to its
deletion.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from apps.health.report import GOOD

OK, WEAK, BROKEN = "ok", "weak", "broken"
HEADERS = {
    "content-security-policy": "default-src",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=()",
    "cross-origin-opener-policy": "same-origin",
}
"""What every page says to browsers, and a word that is in it."""
SAMPLE_BYTES = 1_500_000
"""More than the megabyte above which nginx refuses if nobody tells it otherwise."""
FIRST_EVENT_SECONDS = 5.0
"""The first event is sent at once; what takes longer was kept back on its way."""
ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})


@dataclass(frozen=True)
class Line:
    """`status` is ok, weak (works, could be better) or broken; `detail` what was seen, and what to
    do."""

    name: str
    status: str
    detail: str


class Broken(Exception):
    """What was tried does not work; the text says what was seen and what to do."""


class Weak(Exception):
    """What was tried works, and should be better."""


class Verification:
    """One look at the installation at `url`, as who has `key`; it waits `seconds` for the job."""

    def __init__(self, url: str, key: str, *, seconds: float, http: httpx.Client) -> None:
        self.url = url.rstrip("/")
        self.is_https = urlsplit(self.url).scheme == "https"
        self.seconds = seconds
        self._http = http
        self._key = {"Authorization": f"Bearer {key}"}
        self._word = f"verification {secrets.token_hex(8)}"
        self._job: dict[str, Any] = {}

    def lines(self) -> Iterator[Line]:
        """Each check as it is made. What rests on one that broke is not tried."""
        first = [("live", self._live), ("health", self._health)]
        pages = [("https", self._https), ("headers", self._headers), ("styles", self._styles)]
        rest = [("problems", self._problems), ("request id", self._request_id), ("key", self._api)]
        for name, check in [*first, *pages, *rest]:
            line = _line(name, check)
            yield line
            if line.status == BROKEN and name in ("live", "key"):
                return
        yield from self._document()

    def _document(self) -> Iterator[Line]:
        steps = [("upload", self._upload), ("events", self._events), ("work", self._work)]
        try:
            for name, check in [*steps, ("result", self._result)]:
                line = _line(name, check)
                yield line
                if line.status == BROKEN and name != "events":
                    break
        finally:
            if self._job:
                yield _line("deletion", self._deletion)

    def _live(self) -> str:
        answer = self._get("/health/live")
        if answer.status_code != 200:
            raise Broken(f"/health/live answered {_status(answer)}: does {self.url} lead here?")
        return f"{self.url} answers in {answer.elapsed.total_seconds() * 1000:.0f} ms"

    def _health(self) -> str:
        answer = self._get("/health")
        found = _object(answer)
        bad = ", ".join(
            f"{name} {check['status']}"
            for name, check in found.get("checks", {}).items()
            if check["status"] not in GOOD
        )
        told = f"{found.get('status', _status(answer))}, version {found.get('version', 'unknown')}"
        if answer.status_code != 200:
            raise Broken(f"{told}: {bad}. See docs/troubleshooting.md")
        if bad:
            raise Weak(f"{told}: {bad}. See docs/troubleshooting.md")
        return told

    def _https(self) -> str:
        if not self.is_https:
            raise Weak("the address is http://: what is sent can be read on the way")
        page = self._get("/sign-in")
        if "strict-transport-security" not in page.headers:
            raise Broken("no Strict-Transport-Security: set HTTPS_ONLY and HTTPS_PROXY_HEADER")
        cookies = page.headers.get_list("set-cookie")
        if open_ones := [cookie for cookie in cookies if "secure" not in cookie.lower()]:
            raise Broken(f"a cookie is not Secure: {open_ones[0].partition('=')[0]}")
        host = urlsplit(self.url).hostname
        with suppress(httpx.TransportError):  # nobody listens there: as good
            plain = self._http.get(f"http://{host}/sign-in", headers={"Accept": "text/html"})
            if not plain.headers.get("location", "").startswith("https://"):
                raise Broken(f"http://{host} answers {_status(plain)} and leads to no https://")
        return "HSTS, Secure cookies, and http:// leads to it"

    def _headers(self) -> str:
        page = self._get("/sign-in")
        if page.status_code != 200:
            hint = "is the name in ALLOWED_HOSTS, and does the proxy hand on Host?"
            raise Broken(f"/sign-in answered {_status(page)}: {hint}")
        missing = [name for name, word in HEADERS.items() if word not in page.headers.get(name, "")]
        if missing:
            raise Broken(f"missing or changed on the way: {', '.join(missing)}")
        return "all that pages tell browsers to refuse came through"

    def _styles(self) -> str:
        page = self._get("/sign-in").text
        named = [part.partition('"')[0] for part in page.split('href="')[1:]]
        sheets = [path for path in named if path.partition("?")[0].endswith(".css")]
        if not sheets:
            raise Broken("the sign-in page names no style sheet: run manage.py collectstatic")
        for sheet in sheets:
            answer = self._http.get(httpx.URL(self.url).join(sheet))
            if answer.status_code != 200:
                raise Broken(f"{sheet} answered {_status(answer)}: run manage.py collectstatic")
            if "immutable" not in answer.headers.get("cache-control", ""):
                raise Weak(f"{sheet} is fetched anew again and again: run manage.py collectstatic")
        return f"{len(sheets)} style sheets, kept by browsers for good"

    def _problems(self) -> str:
        answer = self._get("/api/nothing-here")
        problem = _object(answer)
        if answer.status_code != 404 or "code" not in problem:
            raise Broken(f"what is not there answers {_status(answer)} and not a problem document")
        if "Traceback" in answer.text or "DEBUG" in self._get("/nothing-here").text:
            raise Broken("errors show what is inside: set DEBUG=false")
        return "errors come as problem documents, and show nothing of the inside"

    def _request_id(self) -> str:
        wished = f"verify-{secrets.token_hex(8)}"
        answer = self._get("/sign-in", headers={"X-Request-ID": wished})
        came = answer.headers.get("x-request-id")
        if not came:
            raise Broken("no X-Request-ID came back: the proxy takes it away")
        if came != wished:
            raise Weak("the proxy sends a request id of its own, or takes away the client's")
        return "comes back as it was sent"

    def _api(self) -> str:
        if self._get("/api/batch/jobs").status_code != 401:
            raise Broken("the API answers without a key")
        answer = self._get("/api/batch/jobs?limit=1", headers=self._key)
        if answer.status_code != 200:
            raise Broken(f"with the key the API answers {_told(answer)}")
        return "the API takes the key, and nobody without"

    def _upload(self) -> str:
        text = f"{self._word}\n".encode()
        files = {
            "file": ("verification.txt", text + b"words and more words\n" * (SAMPLE_BYTES // 21))
        }
        began = time.monotonic()
        answer = self._http.post(
            f"{self.url}/api/batch/upload",
            files=files,
            data={"name": "Verification of the deployment", "priority": "high"},
            headers=self._key,
        )
        if answer.status_code == 413 and "code" not in _object(answer):
            raise Broken("a proxy refuses 1.5 MB: raise its limit (client_max_body_size in nginx)")
        if answer.status_code != 202:
            raise Broken(f"answered {_told(answer)}")
        self._job = _object(answer)
        host = urlsplit(self._job["url"])
        if f"{host.scheme}://{host.netloc}" != self.url:
            raise Weak(
                f"links lead to {host.scheme}://{host.netloc}: does the proxy hand on Host and "
                "X-Forwarded-Proto, and is HTTPS_PROXY_HEADER set?"
            )
        return f"{SAMPLE_BYTES / 1e6:.1f} MB in {time.monotonic() - began:.1f} s"

    def _events(self) -> str:
        """The first event of the list comes at once, whatever the job does."""
        began = time.monotonic()
        path = f"{self.url}/api/batch/jobs/events"
        patience = httpx.Timeout(10, read=FIRST_EVENT_SECONDS)
        try:
            with self._http.stream("GET", path, headers=self._key, timeout=patience) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise Weak(f"answered {_told(answer)}; pages ask every 1.5 seconds instead")
                for line in answer.iter_lines():
                    if line.startswith("event:"):
                        return f"the first after {time.monotonic() - began:.1f} s"
        except httpx.TimeoutException:
            pass
        raise Weak("nothing comes: the proxy keeps it back (docs/live.md); pages poll meanwhile")

    def _work(self) -> str:
        began = time.monotonic()
        while self._job["state"] not in ENDED:
            waited = time.monotonic() - began
            if waited > self.seconds:
                state, place = self._job["state"], self._job.get("queue_position")
                hint = "does a worker of the lane default run? manage.py queue"
                raise Broken(f"still {state} after {waited:.0f} s (place {place}): {hint}")
            time.sleep(0.5)
            answer = self._get(f"/api/batch/jobs/{self._job['id']}", headers=self._key)
            if answer.status_code == 200:
                self._job = _object(answer)
        if self._job["state"] != "succeeded":
            raise Broken(f"the job {self._job['state']}; see {self._job['url']}")
        return f"read {time.monotonic() - began:.1f} s after it came"

    def _result(self) -> str:
        answer = self._get(f"/api/batch/jobs/{self._job['id']}/files", headers=self._key)
        [file] = _object(answer)["results"]
        text = self._get(f"/api/batch/files/{file['id']}/text", headers=self._key)
        if self._word not in text.text:
            raise Broken(f"the text is not what was sent ({_status(text)})")
        return "the text is what was sent"

    def _deletion(self) -> str:
        path = f"/api/batch/jobs/{self._job['id']}"
        answer = self._http.delete(self.url + path, headers=self._key)
        if answer.status_code == 409:  # it did not end in time
            self._http.post(f"{self.url}{path}/cancel", headers=self._key)
            answer = self._http.delete(self.url + path, headers=self._key)
        if answer.status_code != 204:
            raise Weak(f"the job stays ({_told(answer)}): delete it at {self._job['url']}")
        if self._get(path, headers=self._key).status_code != 404:
            raise Broken("the job is still there after its deletion")
        return "nothing is left of it"

    def _get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self._http.get(self.url + path, headers=headers)


def _line(name: str, check: Callable[[], str]) -> Line:
    try:
        return Line(name, OK, check())
    except Weak as weak:
        return Line(name, WEAK, str(weak))
    except Broken as broken:
        return Line(name, BROKEN, str(broken))
    except httpx.HTTPError as error:
        return Line(name, BROKEN, str(error) or type(error).__name__)
    except (KeyError, ValueError) as error:
        return Line(name, BROKEN, f"what answers is not Docmill ({type(error).__name__}: {error})")


def _object(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object in the answer, empty where there is something else."""
    with suppress(json.JSONDecodeError, UnicodeDecodeError):
        found = answer.json()
        if isinstance(found, dict):
            return found
    return {}


def _status(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.reason_phrase}".strip()


def _told(answer: httpx.Response) -> str:
    problem = _object(answer)
    return (
        f"{_status(answer)}: {problem.get('detail') or problem.get('title') or 'no reason given'}"
    )
