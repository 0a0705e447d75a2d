"""What can be put right of jobs and bytes by itself, for `inspection` and `stock`."""

from apps.jobs import inspection, leftovers, stock, storage
from apps.jobs.inspection import CLOSED_EARLY, COMPLETIONS, COUNTERS, FOLLOWERS, UNCLOSED
from apps.jobs.services import closing, following
from apps.queue.findings import Promise
from apps.queue.mending import Mender

RECOUNT = "count these jobs' files again, and close or open the jobs as these say"


def recount_jobs() -> int:
    """Counts again, closes, opens again or completes the jobs that do not agree with their files;
    how many there are."""
    mendable = {COUNTERS, UNCLOSED, CLOSED_EARLY, COMPLETIONS}
    mended = 0
    for pk, found in inspection.faulty_jobs():
        if found & mendable:
            closing.set_right(pk)
            mended += 1
    return mended


def follow_up() -> int:
    """Sees to files whose leaders have ended; how many that were."""
    before = left = inspection.stuck_followers().count()
    while left:
        following.repair()
        now = inspection.stuck_followers().count()
        if now >= left:
            break
        left = now
    return before - left


MENDERS: dict[Promise, tuple[str, Mender]] = {
    COUNTERS: (RECOUNT, recount_jobs),
    UNCLOSED: (RECOUNT, recount_jobs),
    CLOSED_EARLY: (RECOUNT, recount_jobs),
    COMPLETIONS: (RECOUNT, recount_jobs),
    FOLLOWERS: ("let files go on whose leaders have ended", follow_up),
    stock.UNUSED: ("remove rows without bytes that nothing uses", stock.remove_unused),
    stock.ORPHANS: ("remove bytes that no row tells of", storage.remove_orphans),
    stock.PREVIEWS: ("remove pictures of what is gone", leftovers.remove_orphan_previews),
    stock.STALE: ("remove uploads that never finished", leftovers.remove_stale_uploads),
}
"""By what is broken: what is done about it, in words and in fact."""
