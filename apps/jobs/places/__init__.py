"""Where the bytes are: see `place`. STORAGE_URL says which place it is."""

from pathlib import Path

from django.conf import settings

from apps.jobs.places.folder import Folder
from apps.jobs.places.place import Found, Key, Place

__all__ = ["Found", "Key", "Place", "place", "place_of"]


def place() -> Place:
    """That of the settings as they are now."""
    return place_of(settings.STORAGE_URL)


def place_of(url: str) -> Place:
    """The bucket that `url` names, or the folder of the data directory for "". Raises ValueError
    with a sentence for what names none."""
    data = Path(settings.DOCMILL_DATA_DIR)
    if not url:
        return Folder(data / "blobs")
    from apps.jobs.places.bucket import Address, Bucket

    return Bucket(
        Address.parse(url, public_endpoint=settings.S3_PUBLIC_ENDPOINT),
        cache=data / "cache",
        cache_bytes=settings.S3_CACHE_BYTES,
        link_seconds=settings.S3_LINK_SECONDS,
    )
