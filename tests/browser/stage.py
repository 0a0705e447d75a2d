"""What is on the service before the tests: people, and jobs in every state."""

import json
from dataclasses import dataclass

from tests.browser import colleagues, people
from tests.browser.service import SAMPLES, Api, Service, wait_until

HOMES = {
    "admin": people.OFFICE,
    "carla": people.OFFICE,
    "rita": people.OFFICE,
    "wendy": people.WORKSHOP,
    "charlie": people.ELSEWHERE,
    "lou": colleagues.LONG_NAME,
}
LONG_NAME = "Minutes-of-the-harbour-board-" + "with-every-appendix-" * 8
SMALL_JOBS = 46
"""Enough, with the others, for a second page of the list."""


@dataclass(frozen=True)
class Stage:
    """Where things are: API keys by organization, ids of jobs and files by what they show."""

    service: Service
    keys: dict[str, str]
    ids: dict[str, str]

    def api(self, organization: str) -> Api:
        return Api(self.service.client, self.keys[organization])

    def person(self, name: str) -> tuple[str, str]:
        """E-mail address and password."""
        if name == "admin":
            return self.service.admin
        return f"{name}@example.com", people.PASSWORD

    def home_of(self, name: str) -> str:
        """The organization in which somebody works here; empty for their personal one."""
        return HOMES.get(name, "")


def build(service: Service) -> Stage:
    """Makes it all, and waits until everything is in the state that it is there to show."""
    keys = json.loads(service.call("from tests.browser import people; people.make()"))
    service.call("from tests.browser import limits; limits.make()")
    stage = Stage(service, keys, {})
    office = stage.api(people.OFFICE)
    for number in range(1, SMALL_JOBS + 1):
        office.submit(f"Log sheet {number:02}", {f"sheet-{number:02}.txt": f"Sheet {number}."})
    _ended_jobs(office, stage.ids)
    _open_jobs(office, stage.ids)
    _exports(office, service, stage.ids)
    elsewhere = stage.api(people.ELSEWHERE).submit("Lamp oil", {"lamp-oil.txt": "Not yours."})
    stage.ids["foreign"] = elsewhere
    links = service.call("from tests.browser import people; people.invite()")
    stage.ids.update(json.loads(links))
    return stage


def samples(*names: str) -> dict[str, bytes | str]:
    return {name: (SAMPLES / name).read_bytes() for name in names}


def _ended_jobs(office: Api, ids: dict[str, str]) -> None:
    readable = samples("knots.txt", "notice.html", "recipe.docx", "order.eml", "harbour-log.pdf")
    ids["succeeded"] = office.submit("Tide tables", readable)
    mixed = samples("invoice-scan.pdf", "locked.pdf", "damaged.pdf", "tides-cp1252.csv")
    mixed |= {
        "renamed.pdf": "PK\x03\x04",
        f"{LONG_NAME[:180]}.txt": "Short.",
        "sheets.txt": "pages 40",
    }
    ids["partial"] = office.submit("Autumn mail", mixed)
    ids["failed"] = office.submit("Old archive", samples("damaged.pdf", "locked.pdf"))
    ids["long"] = office.submit(LONG_NAME[:200], {"minutes.txt": "Minutes."})
    ids["quarantined"] = office.submit("Strange letter", {"strange.txt": "crash"})
    for name in ("succeeded", "partial", "failed", "long", "quarantined"):
        office.wait(ids[name])
    ids["duplicates"] = office.submit("Sent twice", samples("knots.txt", "notice.html"))
    office.wait(ids["duplicates"])
    ids["file-duplicate"] = office.files(ids["duplicates"])["knots.txt"]["id"]
    ids["file-succeeded"] = office.files(ids["succeeded"])["harbour-log.pdf"]["id"]
    for name, shown in (
        ("file-failed", "locked.pdf"),
        ("file-rejected", "renamed.pdf"),
        ("file-pages", "sheets.txt"),
        ("file-scan", "invoice-scan.pdf"),
    ):
        ids[name] = office.files(ids["partial"])[shown]["id"]
    ids["file-quarantined"] = office.files(ids["quarantined"])["strange.txt"]["id"]


def _exports(office: Api, service: Service, ids: dict[str, str]) -> None:
    """One that is ready, one that is not whole any more, one that failed, and one that waits for
    ever: nothing of the lane runs any more."""
    ids["exported"] = office.submit("Harbour dues", samples("knots.txt", "notice.html"))
    ids["large"] = office.submit("Harbour dues, all years", {"dues.txt": "pages 60"})
    for name in ("exported", "large"):
        office.wait(ids[name])
    for made in ("ndjson", "zip"):
        _export(office, ids, made)
        wait_until(lambda: _are_ready(office))
    service.call("from tests.browser import exports; exports.hold()")
    for made in ("csv", "xlsx"):
        _export(office, ids, made)
    service.call("from tests.browser import exports; exports.fail('csv')")


def _are_ready(office: Api) -> bool:
    exports = office.send("GET", "/exports").json()["results"]
    return all(each["state"] == "ready" for each in exports)


def _export(office: Api, ids: dict[str, str], made: str) -> None:
    office.send("POST", "/exports", json={"format": made, "jobs": [ids["exported"]]})


def _open_jobs(office: Api, ids: dict[str, str]) -> None:
    """The OCR lane takes two files at a time: two are held, so that the others wait for ever."""
    ids["waiting"] = office.submit("Busy reader", {"busy.txt": "later", "plain.txt": "Plain."})
    office.wait(ids["waiting"], "running")
    held = {"page-1.txt": "Done.", "page-2.txt": "hold 40", "page-3.txt": "hold 75"}
    held |= {f"page-{number}.txt": "Later." for number in range(4, 10)}
    ids["running"] = office.submit("Paper archive 1987", held, operation="ocr")
    wait_until(lambda: _is_held(office, ids["running"]))
    ids["queued"] = office.submit("Paper archive 1988", {"page-1.txt": "Later."}, operation="ocr")
    ids["cancelled"] = office.submit("By mistake", {"page-1.txt": "Never."}, operation="ocr")
    office.send("POST", f"/jobs/{ids['cancelled']}/cancel")
    wait_until(lambda: office.files(ids["waiting"])["busy.txt"]["state"] == "retry_wait")
    ids["file-retry-wait"] = office.files(ids["waiting"])["busy.txt"]["id"]
    ids["file-running"] = office.files(ids["running"])["page-2.txt"]["id"]
    ids["file-waiting"] = office.files(ids["queued"])["page-1.txt"]["id"]
    ids["file-cancelled"] = office.files(ids["cancelled"])["page-1.txt"]["id"]
    _held_jobs(office, ids)


def _held_jobs(office: Api, ids: dict[str, str]) -> None:
    reason = {"reason": "The scans of March are to be made again first."}
    pages = {f"page-{number}.txt": f"March, page {number}." for number in range(1, 4)}
    ids["paused"] = office.submit("Paper archive, March", pages, operation="ocr")
    office.send("POST", f"/jobs/{ids['paused']}/pause", json=reason)
    twice = {"page-1.txt": "April.", "page-2.txt": "May.", "page-2, again.txt": "May."}
    ids["held"] = office.submit("Paper archive, spring", twice, operation="ocr")
    files = office.files(ids["held"])
    ids["file-held"], ids["file-follower"] = (
        files[name]["id"] for name in ("page-1.txt", "page-2, again.txt")
    )
    office.send("POST", f"/files/{ids['file-held']}/pause")


def _is_held(office: Api, job_id: str) -> bool:
    files = office.files(job_id)
    return all(files[name]["state"] == "running" for name in ("page-2.txt", "page-3.txt"))
