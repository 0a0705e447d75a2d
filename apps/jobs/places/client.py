"""Talking to a store that speaks S3: how long a call waits, how often it is tried, and how it is
told what goes wrong."""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from apps.core.metrics import external_call
from apps.jobs.errors import StorageUnavailable

CONNECT_SECONDS, READ_SECONDS = 2, 10
TRIES = 3
HELD_SECONDS, HELD_TRIES = 4, 2
"""The same for who holds locks meanwhile: PostgreSQL lets others wait 15 seconds for these."""
RETRY_SECONDS = 30
REFUSED = frozenset(
    {"403", "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken"}
    | {"NoCredentialsError", "PartialCredentialsError", "SignatureDoesNotMatch"}
)
"""What is said where the key is wrong, revoked or lacks a right. None of it says that bytes are
missing, whatever was asked."""
AT_ONCE = 10
"""Calls that are made beside each other: as many connections as a client keeps."""

T = TypeVar("T")


def client(endpoint: str, region: str, *, is_held: bool = False) -> Any:
    """That of this process: connections are not to be shared over a fork. `is_held` is for who
    holds locks."""
    return _made(os.getpid(), endpoint, region, is_held)


@lru_cache(maxsize=8)
def _made(_pid: int, endpoint: str, region: str, is_held: bool) -> Any:
    """Keys come from where Amazon's own programs look for them."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=region or None,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=HELD_SECONDS if is_held else READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": HELD_TRIES if is_held else TRIES},
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint else "auto"},
            # Others than Amazon do not all know its newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def client_error() -> Any:
    from botocore.exceptions import ClientError

    return ClientError


def code_of(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def telling() -> Iterator[None]:
    """What the store or the way to it says no to, told as StorageUnavailable."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    with external_call("storage") as call:
        try:
            yield
        except FileNotFoundError:
            call.outcome = "missing"
            raise
        except ClientError as error:
            _unavailable(code_of(error) or type(error).__name__, error)
        except (BotoCoreError, Boto3Error, HTTPError) as error:
            _unavailable(type(error).__name__, error)


def _unavailable(why: str, error: Exception) -> NoReturn:
    """Without what the error says itself: it may quote addresses and keys."""
    told = "refuses the key that it is asked with" if why in REFUSED else "cannot be used"
    raise StorageUnavailable(
        f"The bucket {told} ({why}). Nothing was lost; try again later.",
        retry_after=RETRY_SECONDS,
    ) from error


def beside_each_other(work: Callable[[T], object], items: Iterable[T]) -> None:
    """`work` with each; the first error is raised as soon as what is under way has ended."""
    threads = ThreadPoolExecutor(AT_ONCE)
    try:
        for _ in threads.map(work, items):
            pass
    finally:
        threads.shutdown(cancel_futures=True)


class Body(io.RawIOBase):
    """What comes from the network, whose trouble is told as StorageUnavailable."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with telling():
            data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()
