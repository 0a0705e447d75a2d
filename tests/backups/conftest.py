from tests.jobs.conftest import data_dir

__all__ = ["data_dir"]
