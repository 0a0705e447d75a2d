"""What is raised, so that the server is measured and not its limits."""

RAISED = {
    "LIMIT_API": "1000000/s, 10000000/min, 100000000/h",
    "LIMIT_LIVE": "10000000/min",
    "LIMIT_BATCH_UPLOAD": "100000000/h",
    "LIMIT_UPLOAD": "100000000/h",
    "LIMIT_GLOBAL": "10000000/min",
}
"""So high that nobody reaches them, but asked in as many windows as by default."""
