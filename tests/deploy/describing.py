"""What the files of a deployment say, read as their programs read it."""

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
STAGING = ROOT / "deploy" / "compose.staging.yml"
ENVS = {name: ROOT / "deploy" / "env" / f"{name}.env.example" for name in ("production", "staging")}
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
VARIABLE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")


def env_of(path: Path) -> dict[str, str]:
    """The variables of an env file."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def compose_of(*paths: Path, env: dict[str, str]) -> dict[str, Any]:
    """A compose file with its variables filled in, and those that override it laid over it."""
    found: dict[str, Any] = {}
    for path in paths:
        text = VARIABLE.sub(lambda match: env.get(match[1]) or match[2], path.read_text())
        assert "${" not in text, f"{path.name} has a variable without a default"
        found = _laid_over(found, yaml.safe_load(text))
    return found


def _laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = dict(under)
    for name, value in over.items():
        is_deep = isinstance(value, dict) and isinstance(under.get(name), dict)
        both[name] = _laid_over(under[name], value) if is_deep else value
    return both


def dockerfile() -> list[tuple[str, str]]:
    """(instruction, rest) of each, lines that go on joined, without comments."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line]  # type: ignore[misc]


def image_sources() -> list[str]:
    """What the image takes from the repository, as `COPY` names it."""
    copied = [shlex.split(rest) for verb, rest in dockerfile() if verb == "COPY"]
    return [name for parts in copied if "--from=build" not in parts for name in parts[:-1]]


def image_env() -> dict[str, str]:
    """The environment that the image gives to what it runs: that of its last stage."""
    found: dict[str, str] = {}
    for verb, rest in dockerfile():
        if verb == "FROM":
            found = {}
        elif verb == "ENV":
            found |= dict(part.split("=", 1) for part in shlex.split(rest))
    return {name: value.replace("$PATH", SYSTEM_PATH) for name, value in found.items()}
