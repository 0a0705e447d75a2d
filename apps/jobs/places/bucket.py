"""Bytes in a bucket of an S3-compatible store: the extra `docmill[s3]`.

Every call waits for seconds at most and is tried three times, twice where locks are held. What
fails then is StorageUnavailable: 503 for a request, for a run a failure of ours, so nothing is lost
by it. A key counts as missing only where its bucket is there.
"""

import hashlib
import io
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from django.utils.http import content_disposition_header

from apps.jobs.errors import StorageFull, StorageUnavailable
from apps.jobs.places.client import Body, beside_each_other, client, client_error, code_of, telling
from apps.jobs.places.folder import make_private
from apps.jobs.places.place import SHA256, Found, Key, Place

SEEN_SECONDS = 60
SEEN = 10_000
"""For so long it is remembered that bytes were there, and of so many."""
REMOVED_TOGETHER = 1000
"""What one request may name."""
PIECE = 1024 * 1024
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
RETRY_WHEN_FULL_SECONDS = 300
STALE_SECONDS = 24 * 3600
"""How long a file that was given out may be in use, and one that nobody uses is kept: another
machine may have removed its bytes since."""


@dataclass(frozen=True)
class Address:
    """Where a bucket is: `s3://bucket/prefix?endpoint=https://...&region=...`. `endpoint` "" is
    Amazon's own, `public_endpoint` where browsers reach it, the same unless it is given."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    public_endpoint: str = ""

    @classmethod
    def parse(cls, url: str, *, public_endpoint: str = "") -> "Address":
        """Raises ValueError with a sentence."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.hostname:
            raise ValueError("It must be s3://bucket/prefix?endpoint=...&region=...")
        if parts.username or parts.password:
            raise ValueError("Keys go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := set(given) - {"endpoint", "region"}:
            raise ValueError(f"There is no option {', '.join(sorted(unknown))}.")
        return cls(
            parts.hostname,
            parts.path.strip("/"),
            given.get("endpoint", ""),
            given.get("region", ""),
            public_endpoint,
        )


class _Seen:
    """Bytes that were there lately, for whoever must not ask while holding locks."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def note(self, name: str) -> None:
        if len(self._until) >= SEEN:
            self.forget_all()
        self._until[name] = time.monotonic() + SEEN_SECONDS

    def forget(self, name: str) -> None:
        self._until.pop(name, None)

    def forget_all(self) -> None:
        self._until.clear()

    def lately(self, name: str) -> bool:
        return self._until.get(name, 0.0) > time.monotonic()


_seen = _Seen()


class Bucket(Place):
    """`<prefix>/<organization>/<aa>/<sha256>`. What is read here is kept in the folder `cache`, at
    most `cache_bytes` of it; `link_seconds` is how long a link is good for."""

    is_far = True

    def __init__(
        self, address: Address, *, cache: Path, cache_bytes: int, link_seconds: int
    ) -> None:
        self._address = address
        self._cache = cache
        self._cache_bytes = cache_bytes
        self._link_seconds = link_seconds
        self._is_held = False
        self._prefix = f"{address.prefix}/" if address.prefix else ""

    @property
    def _client(self) -> Any:
        return client(self._address.endpoint, self._address.region, is_held=self._is_held)

    @property
    def _held(self) -> "Bucket":
        """The same, for who holds locks."""
        held = copy(self)
        held._is_held = True
        return held

    def bring(self, files: Iterable[tuple[Key, Path]]) -> None:
        beside_each_other(self._make_sure, files)

    def put(self, files: Iterable[tuple[Key, Path]]) -> None:
        """They were brought before the transaction that this is in; but it may be long ago, or one
        was removed meanwhile."""
        beside_each_other(self._held._make_sure, files)

    def _make_sure(self, file: tuple[Key, Path]) -> None:
        key, path = file
        there = self.size(key)
        if path.exists():
            if there != path.stat().st_size:
                self._upload(key, path)
        elif there is None:
            raise FileNotFoundError(path)

    def size(self, key: Key) -> int | None:
        with telling():
            try:
                answer = self._client.head_object(Bucket=self._address.bucket, Key=self._name(key))
            except client_error() as error:
                if code_of(error) not in MISSING:
                    raise
                # The same answer where there is no such bucket: that is not to say all is lost.
                self._client.head_bucket(Bucket=self._address.bucket)
                _seen.forget(self._named(key))
                return None
            _seen.note(self._named(key))
            return int(answer["ContentLength"])

    def sizes(self, keys: Sequence[Key]) -> dict[Key, int]:
        """By listing, 1000 a call. What a store lists in another order than by name counts as not
        there: whoever is told so asks again."""
        names = {self._name(key): key for key in keys}
        found: dict[Key, int] = {}
        if not names:
            return found
        before, last = min(names)[:-1], max(names)
        with telling():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._address.bucket, Prefix=self._prefix, StartAfter=before
            )
            for each in chain.from_iterable(page.get("Contents", ()) for page in pages):
                if each["Key"] > last:
                    break
                if each["Key"] in names:
                    found[names[each["Key"]]] = each["Size"]
        return found

    def look_at(self, keys: Iterable[Key]) -> None:
        beside_each_other(self.size, keys)

    def was_there(self, key: Key) -> bool:
        return _seen.lately(self._named(key)) or not self._held.is_gone(key)

    def is_gone(self, key: Key) -> bool:
        if self.size(key) is not None:
            return False
        with telling():
            answer = self._client.list_objects_v2(
                Bucket=self._address.bucket,
                Prefix=f"{self._prefix}{key.organization_id.hex}/",
                MaxKeys=1,
            )
        return bool(answer["KeyCount"])

    def open(self, key: Key) -> BinaryIO:
        with telling():
            try:
                answer = self._client.get_object(Bucket=self._address.bucket, Key=self._name(key))
            except client_error() as error:
                if code_of(error) in MISSING:
                    raise FileNotFoundError(str(key)) from error
                raise
        return io.BufferedReader(Body(answer["Body"]), PIECE)

    @contextmanager
    def local(self, key: Key) -> Iterator[Path]:
        """Fetched once, and given out by a name of its own: the cache may let it go meanwhile."""
        kept = self._cache / str(key)
        make_private(self._cache / "in-use")
        mine = self._cache / "in-use" / uuid.uuid4().hex
        try:
            if not _linked(kept, mine):
                self._fetch(key, mine)
                make_private(kept.parent)
                with suppress(OSError):  # it is there, or this file system has one name for each
                    os.link(mine, kept)
                self._trim()
            yield mine
        finally:
            mine.unlink(missing_ok=True)

    def remove(self, keys: Iterable[Key]) -> None:
        wanted = list(keys)
        for key in wanted:
            _seen.forget(self._named(key))
        self._held._remove(map(self._name, wanted))
        for key in wanted:
            (self._cache / str(key)).unlink(missing_ok=True)

    def organizations(self) -> Iterator[str]:
        with telling():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._address.bucket, Prefix=self._prefix, Delimiter="/"
            )
            for page in pages:
                for each in page.get("CommonPrefixes", ()):
                    yield each["Prefix"].removeprefix(self._prefix).rstrip("/")

    def found(self, organization: str) -> Iterator[Found]:
        with telling():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._address.bucket, Prefix=f"{self._prefix}{organization}/"
            )
            for page in pages:
                for each in page.get("Contents", ()):
                    name = each["Key"]
                    yield Found(name, self._key(name), each["Size"], each["LastModified"])

    def clear(self, organization: str) -> None:
        self._remove(each.name for each in self.found(organization))
        shutil.rmtree(self._cache / organization, ignore_errors=True)

    def link(self, key: Key, *, name: str, content_type: str) -> str | None:
        endpoint = self._address.public_endpoint or self._address.endpoint
        signing = client(endpoint, self._address.region)
        with telling():
            url: str = signing.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._address.bucket,
                    "Key": self._name(key),
                    "ResponseContentDisposition": content_disposition_header(True, name),
                    "ResponseContentType": content_type,
                    "ResponseCacheControl": "private, no-store",
                },
                ExpiresIn=self._link_seconds,
            )
        return url

    def ask(self) -> str:
        with telling():
            self._client.list_objects_v2(
                Bucket=self._address.bucket, Prefix=self._prefix, MaxKeys=1
            )
        return "s3"

    def check(self) -> str:
        probe = f"{self._prefix}.probe-{uuid.uuid4().hex}"
        bucket = self._address.bucket
        with telling():
            self._client.put_object(Bucket=bucket, Key=probe, Body=b"probe")
            self._client.get_object(Bucket=bucket, Key=probe)["Body"].read()
            self._client.delete_object(Bucket=bucket, Key=probe)
        return "s3"

    def _upload(self, key: Key, path: Path) -> None:
        """In parts where it is large; checked to have arrived whole."""
        size = path.stat().st_size
        with telling():
            self._client.upload_file(str(path), self._address.bucket, self._name(key))
        if self.size(key) != size:
            raise StorageUnavailable("The bucket has not kept what it was given.")

    def _fetch(self, key: Key, path: Path) -> None:
        digest = hashlib.sha256()
        try:
            with self.open(key) as content, path.open("wb") as sink:
                while piece := content.read(PIECE):
                    digest.update(piece)
                    sink.write(piece)
        except (StorageUnavailable, FileNotFoundError):
            raise
        except OSError as error:
            raise StorageFull(
                f"The bytes could not be fetched from the bucket ({error.strerror}).",
                retry_after=RETRY_WHEN_FULL_SECONDS,
            ) from error
        if digest.hexdigest() != key.sha256:
            raise StorageUnavailable("The bucket gave other bytes than it was given.")

    def _remove(self, names: Iterable[str]) -> None:
        given = iter(names)
        while portion := [{"Key": n} for _, n in zip(range(REMOVED_TOGETHER), given, strict=False)]:
            with telling():
                answer = self._client.delete_objects(
                    Bucket=self._address.bucket, Delete={"Objects": portion, "Quiet": True}
                )
            for error in answer.get("Errors", ()):
                raise StorageUnavailable(f"The bucket does not remove: {error.get('Code')}.")

    def _trim(self) -> None:
        """Lets go of what was fetched the longest ago, until the rest is small enough; and of what
        is stale, such as what killed processes had in use."""
        for path in (*self._cache.glob("in-use/*"), *self._cache.glob("*/*/*")):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - STALE_SECONDS:
                    path.unlink()
        kept = []
        for path in self._cache.glob("*/*/*"):
            with suppress(FileNotFoundError):
                about = path.stat()
                kept.append((about.st_mtime, about.st_size, path))
        size = sum(each[1] for each in kept)
        for _, freed, path in sorted(kept):
            if size <= self._cache_bytes:
                return
            path.unlink(missing_ok=True)
            size -= freed

    def _name(self, key: Key) -> str:
        return f"{self._prefix}{key}"

    def _named(self, key: Key) -> str:
        """The same among all buckets."""
        return f"{self._address.endpoint}/{self._address.bucket}/{self._name(key)}"

    def _key(self, name: str) -> Key | None:
        parts = name.removeprefix(self._prefix).split("/")
        if len(parts) != 3 or not SHA256.fullmatch(parts[2]) or parts[1] != parts[2][:2]:
            return None
        try:
            return Key(UUID(hex=parts[0]), parts[2])
        except ValueError:
            return None


def _linked(kept: Path, name: Path) -> bool:
    """Whether `kept` was there, and is now there as `name` too."""
    try:
        os.link(kept, name)
    except OSError:
        return False
    with suppress(FileNotFoundError):
        os.utime(kept)
    return True
