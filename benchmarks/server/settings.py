"""The settings of the service, with bare views to measure beside and a clock on the database."""

from config.settings import *  # noqa: F403
from config.settings import MIDDLEWARE as ALL_OF_IT

ROOT_URLCONF = "benchmarks.server.bare"
MIDDLEWARE = ["benchmarks.server.bare.Clock", *ALL_OF_IT]
