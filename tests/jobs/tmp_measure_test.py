import time
import pytest
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchJob
from apps.queue.settle import succeed
from tests.batches import Scripted, claimed
from tests.jobs.containers import opened, submit_files, zip_of
pytestmark = pytest.mark.django_db(transaction=True)
def test_m(acme):
    job = submit_files(acme, {"all.zip": zip_of("one")})
    file = claimed()
    t=time.monotonic()
    out = opened(Scripted(), file, {f"{n}.txt": f"text {n}".encode()*200 for n in range(500)})
    t2=time.monotonic()
    assert succeed(BatchFileHandler, file, out)
    t3=time.monotonic()
    print("MEASURED receive", round(t2-t,2), "settle", round(t3-t2,2))
