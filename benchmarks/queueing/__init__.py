"""What the queue costs, measured beside something that everybody knows: `-m benchmarks.queueing`.

Not `queue`: the scripts beside it run with their own folder first in the path, and would find it
in the place of Python's module of that name.
"""
