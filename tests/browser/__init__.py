"""A real browser on a running service. `make test-browser` runs these; `make test` does not."""
