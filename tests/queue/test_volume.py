"""However much there is, the way to what is asked for is short: in every list, page, claim, sweep
and cleanup. `python -m benchmarks.plans` does the same with a million files."""

import pytest

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchFile
from tests.conftest import ApiFor, ClientFor
from tests.operators import superuser
from tests.volume import World, faults_of, fill, ways

pytestmark = pytest.mark.django_db

FILES = 30_000


def test_nothing_reads_or_sorts_much_to_find_a_little(
    acme: Organization, alice: User, api_for: ApiFor, client_for: ClientFor
) -> None:
    job, file = fill(FILES, acme, alice)
    browsers = (api_for(alice), client_for(alice), superuser())
    world = World(acme, alice, job, file, *browsers)
    found = {name: faults for name, work in ways(world).items() if (faults := faults_of(work))}
    by_no_index = BatchFile.objects.filter(error_detail="of no index").exists
    assert len(faults_of(by_no_index)) == 1, "this check cannot fail"
    assert not found, "\n".join(f"{name}: {fault}" for name in found for fault in found[name])
