"""Django's backend for PostgreSQL, with a pool whose exhaustion and whose dead server differ."""
