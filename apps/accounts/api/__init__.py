"""Organizations, members and keys for programs. Invitations are mailed, so `apps.web` has them."""
