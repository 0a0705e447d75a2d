"""What every app needs and no domain: errors and how they are told, request ids, pages, filters.

Imports nothing of Docmill.
"""
