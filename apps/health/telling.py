"""One line in the log when a check finds something else than before, however often it looks."""

import logging

logger = logging.getLogger("apps.health")

_said: dict[str, str] = {}


def say(check: str, trouble: str) -> None:
    """What is wrong with `check`, or "" when nothing is."""
    before = _said.get(check, "")
    if trouble == before:
        return
    _said[check] = trouble
    if trouble:
        logger.warning("health: %s: %s", check, trouble)
    else:
        logger.warning("health: %s is well again", check)
