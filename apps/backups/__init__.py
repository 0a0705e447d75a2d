"""Copies of the whole installation, in one file each, and installations made from them.

`tables` writes rows as text that both databases understand and reads them back, `archive` is the
file around them, `making` fills one, `restoring` builds an installation from one beside the one
that is there (`staging`) and puts it in its place in one step.
"""
