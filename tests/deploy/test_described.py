"""Compose file, manifests, image and env files: valid by their schemas, and true of the code."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import resolve

from tests.architecture.test_docs import settings_in_code
from tests.deploy.describing import (
    COMPOSE,
    ENVS,
    ROOT,
    STAGING,
    VARIABLE,
    compose_of,
    dockerfile,
    env_of,
    image_env,
)

pytestmark = pytest.mark.once

KUBERNETES = ROOT / "deploy" / "kubernetes"
BASE = sorted((KUBERNETES / "base").glob("*.yaml"))
OVERLAYS = ("production", "staging")
VERSION = "1.37"
MARGIN_SECONDS = 10
"""Between SHUTDOWN_GRACE_SECONDS and the moment at which an engine kills."""
GRACE = {"s": 1, "m": 60}


def tool(name: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Runs what a package of the environment brings."""
    program = Path(sys.executable).parent / name
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )


def checked_by_schema(schema: str, *paths: Path) -> str:
    """What the schema says against the files; empty when nothing."""
    done = tool("check-jsonschema", "--builtin-schema", schema, *paths)
    return "" if done.returncode == 0 else done.stdout + done.stderr


# --- schemas and linters --------------------------------------------------------------------------


def test_the_compose_files_hold_to_their_schema(tmp_path: Path) -> None:
    assert checked_by_schema("vendor.compose-spec", COMPOSE, STAGING) == ""
    wrong = tmp_path / "compose.yml"
    wrong.write_text(COMPOSE.read_text().replace("read_only: true", "readonly: true", 1))
    assert "readonly" in checked_by_schema("vendor.compose-spec", wrong)


def test_the_workflow_holds_to_its_schema(tmp_path: Path) -> None:
    workflow = ROOT / ".github" / "workflows" / "ci.yml"
    assert checked_by_schema("vendor.github-workflows", workflow) == ""
    wrong = tmp_path / "ci.yml"
    wrong.write_text(workflow.read_text().replace("runs-on", "run-on"))
    assert checked_by_schema("vendor.github-workflows", wrong) != ""


def test_the_dockerfile_is_clean(tmp_path: Path) -> None:
    done = tool("hadolint", "--failure-threshold", "style", "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")
    wrong = tmp_path / "Dockerfile"
    wrong.write_text((ROOT / "Dockerfile").read_text().replace("USER 10001:10001", "USER root"))
    assert "DL3002" in tool("hadolint", wrong).stdout


@pytest.mark.parametrize(
    "path", [p for p in BASE if p.stem != "kustomization"], ids=lambda p: p.stem
)
def test_the_manifests_hold_to_their_schemas(path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_manifest_with_a_mistake_is_found() -> None:
    [wrong] = [each for each in manifests() if each["kind"] == "Job"]
    wrong["spec"]["template"]["spec"]["containers"][0]["arguments"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="arguments"):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_an_overlay_changes_is_there(overlay: str) -> None:
    """And with kubectl, where it is: what comes out holds to the schemas as well."""
    described = yaml.safe_load((KUBERNETES / overlay / "kustomization.yaml").read_text())
    assert described["resources"] == ["../base"]
    known = {(each["kind"], each["metadata"]["name"]) for each in manifests()}
    for patch in described["patches"]:
        kind, name = patch["target"]["kind"], patch["target"].get("name")
        found = [each for each in known if each[0] == kind and name in (None, each[1])]
        assert found, patch["target"]
        assert yaml.safe_load(patch["patch"])
    if not shutil.which("kubectl"):
        pytest.skip("needs kubectl, to lay it over the base")
    done = subprocess.run(
        ["kubectl", "kustomize", KUBERNETES / overlay], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rendered = list(yaml.safe_load_all(done.stdout))
    assert len(rendered) == len(known)
    for manifest in rendered:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == described["namespace"]


def test_every_manifest_is_applied_but_the_example_of_the_secret() -> None:
    described = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())
    there = {path.name for path in BASE} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(described["resources"]) == there


# --- what they say of the code --------------------------------------------------------------------


def manifests() -> list[dict[str, Any]]:
    """What is applied."""
    names = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())["resources"]
    texts = [(KUBERNETES / "base" / name).read_text() for name in names]
    return [each for text in texts for each in yaml.safe_load_all(text)]


def pods() -> dict[str, dict[str, Any]]:
    """The specification of the pods of each Deployment and Job, by its name."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in manifests()
        if each["kind"] in ("Deployment", "Job")
    }


def composed(name: str) -> dict[str, Any]:
    paths = (COMPOSE, STAGING) if name == "staging" else (COMPOSE,)
    return compose_of(*paths, env=env_of(ENVS[name]))


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run the image of this repository."""
    return {
        name: service
        for name, service in compose["services"].items()
        if service["image"].startswith("docmill")
    }


def commands() -> Iterator[tuple[str, list[str]]]:
    """(where, arguments to manage.py) of all that is started."""
    for env in ENVS:
        for name, service in ours(composed(env)).items():
            yield f"{env} {name}", service["command"]
    for name, pod in pods().items():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"kubernetes {name}", container["args"]
    [[_, started]] = [each for each in dockerfile() if each[0] == "CMD"]
    yield "image", json.loads(started)


def test_everything_that_is_started_is_a_command_and_takes_these_arguments() -> None:
    known = get_commands()
    for where, [name, *arguments] in commands():
        assert name in known, where
        app = known[name]
        command = load_command_class(app if isinstance(app, str) else app.__module__, name)
        command.create_parser("manage.py", name).parse_args(arguments)


def lanes_of(started: list[list[str]]) -> Counter[str]:
    work = [each for each in started if each[0] == "work"]
    return Counter(lane for each in work for lane in each[each.index("--lanes") + 1].split(","))


def test_every_lane_is_served_once() -> None:
    once = Counter(list(settings.QUEUE_LANES))
    for env in ENVS:
        assert lanes_of([each["command"] for each in ours(composed(env)).values()]) == once, env
    assert lanes_of([pod["containers"][0]["args"] for pod in pods().values()]) == once


def test_what_scales_may_run_as_much_as_it_may_start() -> None:
    [config] = [each["data"] for each in manifests() if each["kind"] == "ConfigMap"]
    scaled = [each["spec"] for each in manifests() if each["kind"] == "HorizontalPodAutoscaler"]
    assert scaled
    for spec in scaled:
        arguments = pods()[spec["scaleTargetRef"]["name"]]["containers"][0]["args"]
        lane = arguments[arguments.index("--lanes") + 1]
        slots = int(arguments[arguments.index("--slots") + 1])
        assert int(config[f"{lane.upper()}_CONCURRENCY"]) >= slots * spec["maxReplicas"]
        [metric] = spec["metrics"]
        assert metric["external"]["metric"]["selector"]["matchLabels"] == {"lane": lane}


def test_what_scales_goes_by_a_metric_that_there_is() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "apps").glob("*/metrics.py"))
    for each in manifests():
        for metric in each["spec"].get("metrics", []) if "spec" in each else []:
            assert f'"{metric["external"]["metric"]["name"]}"' in code


def test_every_variable_is_read_by_somebody() -> None:
    known = settings_in_code()
    of_compose = {
        name for path in (COMPOSE, STAGING) for name, _ in VARIABLE.findall(path.read_text())
    }
    of_compose |= {"COMPOSE_FILE", "COMPOSE_PROFILES"}
    for path in ENVS.values():
        assert set(env_of(path)) <= known | of_compose, path.name
    for env in ENVS:
        for service in ours(composed(env)).values():
            assert {name.removesuffix("_FILE") for name in service["environment"]} <= known
    told = [each["data"] for each in manifests() if each["kind"] == "ConfigMap"]
    secret = yaml.safe_load((KUBERNETES / "base" / "secret.example.yaml").read_text())
    for data in (*told, secret["stringData"]):
        assert set(data) <= known
    assert (
        set(image_env()) - known
        == {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "ENV_FILE"} - known
    )


def test_what_compose_wants_to_be_told_is_in_the_examples() -> None:
    wanted = set(VARIABLE.findall(COMPOSE.read_text()))
    for name, default in wanted - {
        ("DOCMILL_ENV", ".env"),
        ("DOCMILL_SECRETS", "./deploy/secrets"),
    }:
        assert env_of(ENVS["production"])[name] == default, name
    staging = env_of(ENVS["staging"])
    assert {name for name, _ in wanted} <= set(staging)
    for name in ("COMPOSE_PROJECT_NAME", "DOCMILL_PORT", "DOCMILL_NETWORK", "DOCMILL_SECRETS"):
        assert staging[name] not in dict(wanted).values(), f"{name} is that of production"


def test_the_proxy_that_is_trusted_is_the_one_that_is_there() -> None:
    compose, env = composed("production"), env_of(ENVS["production"])
    address = compose["services"]["caddy"]["networks"]["outside"]["ipv4_address"]
    assert env["TRUSTED_PROXIES"] == address
    [range_of_others] = [
        each["ip_range"] for each in compose["networks"]["outside"]["ipam"]["config"]
    ]
    assert range_of_others.endswith(".128/25")
    assert int(address.rpartition(".")[2]) < 128


def test_what_is_mounted_is_declared() -> None:
    for env in ENVS:
        compose = composed(env)
        for name, service in compose["services"].items():
            for volume in service.get("volumes", []):
                source = volume.partition(":")[0]
                assert (
                    (ROOT / source).exists()
                    if source.startswith(".")
                    else source in compose["volumes"]
                ), name
            assert set(service.get("secrets", [])) <= set(compose["secrets"])
            assert set(service.get("networks", [])) <= set(compose["networks"])
            assert set(service.get("depends_on", {})) <= set(compose["services"])
    claims = {
        each["metadata"]["name"] for each in manifests() if each["kind"] == "PersistentVolumeClaim"
    }
    for name, pod in pods().items():
        declared = {volume["name"]: volume for volume in pod["volumes"]}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert {mount["name"] for mount in container["volumeMounts"]} == set(declared), name
        assert declared["data"]["persistentVolumeClaim"]["claimName"] in claims


def test_probes_ask_for_what_there_is() -> None:
    asked = [
        probe["httpGet"]["path"]
        for pod in pods().values()
        for container in pod["containers"]
        for probe in map(container.get, ("startupProbe", "readinessProbe", "livenessProbe"))
        if probe and "httpGet" in probe
    ]
    caddy = (ROOT / "deploy" / "caddy" / "Caddyfile").read_text()
    image = (ROOT / "Dockerfile").read_text()
    asked += re.findall(r"health_uri (\S+)", caddy) + re.findall(r"'GET', '([^']+)'", image)
    assert sorted(set(asked)) == ["/health/live", "/health/ready"]
    for path in asked:
        assert resolve(path)
    modules = {
        tuple(probe["exec"]["command"][:3])
        for pod in pods().values()
        for container in pod["containers"]
        for probe in map(container.get, ("startupProbe", "livenessProbe"))
        if probe and "exec" in probe
    }
    assert modules == {("python", "-m", "apps.core.pulse")}


def test_what_runs_is_given_the_time_that_it_takes_to_stop() -> None:
    for env in ENVS:
        grace = float(env_of(ENVS[env])["SHUTDOWN_GRACE_SECONDS"])
        for name, service in ours(composed(env)).items():
            number, unit = re.fullmatch(r"(\d+)([sm])", service["stop_grace_period"]).groups()  # type: ignore[union-attr]
            assert int(number) * GRACE[unit] >= grace + MARGIN_SECONDS, name
    [config] = [each["data"] for each in manifests() if each["kind"] == "ConfigMap"]
    for name, pod in pods().items():
        [container] = pod["containers"]
        before = container.get("lifecycle", {}).get(
            "preStop", {"exec": {"command": ["sleep", "0"]}}
        )
        waits = float(before["exec"]["command"][1])
        needed = float(config["SHUTDOWN_GRACE_SECONDS"]) + waits + MARGIN_SECONDS
        assert pod["terminationGracePeriodSeconds"] >= needed, name


def test_nothing_runs_with_more_rights_than_it_needs() -> None:
    for env in ENVS:
        for name, service in composed(env)["services"].items():
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["deploy"]["resources"]["limits"]["memory"], name
        for name, service in ours(composed(env)).items():
            assert "cap_add" not in service, name
            for port in service.get("ports", []):
                assert port.startswith("127.0.0.1:"), name
    [[_, user]] = [each for each in dockerfile() if each[0] == "USER"]
    for name, pod in pods().items():
        rights = pod["securityContext"]
        assert f"{rights['runAsUser']}:{rights['runAsGroup']}" == user, name
        assert rights["runAsNonRoot"] is True
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name


def test_nothing_starts_before_what_it_needs() -> None:
    for name, service in ours(composed("production")).items():
        after = {on: how["condition"] for on, how in service["depends_on"].items()}
        assert after["postgres"] == "service_healthy", name
        if name != "migrate":
            assert after["migrate"] == "service_completed_successfully", name
            assert service["healthcheck"]["test"] if name != "web" else True
    for name, pod in pods().items():
        if name != "docmill-migrate":
            assert [each["args"] for each in pod["initContainers"]] == [["migrate", "--check"]], (
                name
            )
