"""The page tells of the matrix as it is, and of no cell that failed."""

import pytest

from tests.faults.matrix import ALL, DATABASES, cells
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


@pytest.mark.once
def test_the_samples_of_both_databases_have_each_point_and_each_fault() -> None:
    played = {cell for database in DATABASES for cell in cells(database)}
    assert {cell.point for cell in played} == set(POINTS)
    assert {cell.fault for cell in played} == set(FAULTS)
