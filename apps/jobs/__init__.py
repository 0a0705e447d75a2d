"""The heart: a batch of files is submitted, worked on, finished, and its results are read.

May import `processors`, `queue`, `accounts` and `core`.
"""
