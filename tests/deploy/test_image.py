"""The image, as its Dockerfile describes it, of what the repository holds."""

import json
import re

import pytest
from django.conf import settings

from tests.deploy.describing import COMPOSE, ENVS, ROOT, dockerfile, image_sources
from tests.deploy.test_described import BASE, KUBERNETES, OVERLAYS

pytestmark = pytest.mark.once


def test_the_image_takes_what_is_there_and_is_let_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert "*" in ignore
    assert let_through == {name.removeprefix("./") for name in image_sources()}
    for name in let_through:
        assert (ROOT / name).exists(), name


def test_the_image_checks_hashes_and_has_no_secret() -> None:
    runs = " ".join(rest for verb, rest in dockerfile() if verb == "RUN")
    assert "--require-hashes" in runs
    assert "--only-binary :all:" in runs
    named = {rest.partition("=")[0] for verb, rest in dockerfile() if verb in ("ARG", "ENV")}
    assert not {name for name in named if re.search("SECRET|PASSWORD|TOKEN|KEY", name)}
    [[_, entry]] = [each for each in dockerfile() if each[0] == "ENTRYPOINT"]
    assert json.loads(entry) == ["tini", "--", "python", "manage.py"]


def test_the_lock_file_of_the_image_has_all_of_the_others_versions() -> None:
    def pinned(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {
            line.split(" ")[0].rstrip("\\") for line in lines if re.match(r"[a-z0-9].*==", line)
        }

    image = pinned("requirements-extras.lock")
    assert pinned("requirements.lock") <= image
    assert {name.partition("==")[0] for name in image} >= {"boto3", "opentelemetry-sdk"}
    assert image <= pinned("requirements-dev.lock"), "what the image runs was not tested"


def test_the_version_is_the_same_everywhere() -> None:
    version = settings.VERSION
    pages = [COMPOSE, ROOT / "Dockerfile", *ENVS.values(), *BASE]
    pages += [KUBERNETES / overlay / "kustomization.yaml" for overlay in OVERLAYS]
    text = "\n".join(page.read_text() for page in pages)
    found = re.findall(r"docmill:(\d[\w.]*)|newTag: (\S+)|ARG VERSION=(\S+)", text)
    assert {next(filter(None, each)) for each in found} == {version}
