"""The page tells of the matrix as it is, and of no cell that failed."""

import pytest
from django.db import connection

from tests.faults.matrix import ALL, DATABASES, SAMPLE, why_not
from tests.faults.points import POINTS
from tests.faults.strikes import FAULTS
from tests.faults.table import FAILED, MISSING, PAGE, PASSED, is_complete, outcomes, page


@pytest.mark.once
def test_the_page_is_what_make_faults_writes_when_all_pass() -> None:
    assert page(*({str(cell): PASSED for cell in ALL} for _ in DATABASES)) == PAGE.read_text()


@pytest.mark.once
def test_a_cell_that_failed_or_was_not_played_is_told(tmp_path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase name="test_cell[mid_parse-stop]"><failure/></testcase>'
        '<testcase name="test_cell[in_settle-stop]"/></testsuite></testsuites>'
    )
    seen = outcomes(report)
    assert seen == {"mid_parse-stop": FAILED, "in_settle-stop": PASSED}
    text = page(seen, seen)
    assert FAILED in text
    assert MISSING in text
    assert not is_complete(text)


def test_the_sample_has_each_point_and_each_fault() -> None:
    played = [cell for cell in SAMPLE if not why_not(cell, connection.vendor)]
    assert {cell.point for cell in played} == set(POINTS)
    possible = {cell.fault for cell in ALL if not why_not(cell, connection.vendor)}
    assert {cell.fault for cell in played} == possible <= set(FAULTS)
