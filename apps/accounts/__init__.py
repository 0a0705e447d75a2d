"""Who somebody is, which organization they act in, and what they may do there.

Users, organizations, memberships, roles and API keys; the tenancy boundary that every table of the
apps above builds on. Knows nothing of jobs or documents beyond their names in the permission table.
"""
