"""Pages for people: server-rendered, one style sheet, htmx for what moves.

Everything works without a script except live progress and per-file upload bars.
"""
