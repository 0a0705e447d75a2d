"""What a job is called: pure."""


def job_title(name: str, first_file: str, total: int) -> str:
    """Its name, or after its files where it was given none."""
    if name:
        return name
    return first_file if total <= 1 else f"{first_file} and {total - 1} more"
