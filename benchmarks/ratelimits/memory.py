"""How much of the server's memory a key needs that is full."""

from typing import Any

from benchmarks.ratelimits.peers import Peer, peers
from benchmarks.stage import Stage
from benchmarks.table import Row, Table

HITS = 1000
AIM_BYTES = 4500


def measure(_stage: Stage, table: Table) -> None:
    """Docmill's beside each of the others'."""
    ours, *others = [(peer, used(peer)) for peer in peers()]
    for peer, bytes_used in others:
        is_first = peer is others[0][0]
        table.add(
            Row(
                f"memory of a full {HITS}/h key",
                f"{ours[1]} bytes",
                f"{peer.name}: {bytes_used} bytes",
                ours[1] / bytes_used,
                None,
                f"<= {AIM_BYTES} bytes" if is_first else "",
                ours[1] <= AIM_BYTES if is_first else None,
            )
        )


def used(peer: Peer) -> int:
    """Bytes of all that is kept for one key, hit until it is full."""
    import redis
    from django.conf import settings

    from apps.ratelimits.redis_store import PREFIX
    from apps.ratelimits.windows import Window

    client: Any = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    ask = peer.start(settings.REDIS_URL, [Window(HITS, 3600)])
    passed = sum([ask("somebody") for _ in range(HITS)])
    assert passed == HITS, (peer.name, passed)
    # The statistics are those of everybody together.
    keys = [
        key for key in client.scan_iter() if not key.startswith(f"{PREFIX}statistics:".encode())
    ]
    total = sum([client.memory_usage(key, samples=0) for key in keys])
    client.close()
    assert total, peer.name
    return int(total)
