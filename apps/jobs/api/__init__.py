"""The REST API of jobs and files."""
