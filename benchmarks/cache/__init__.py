"""What the cache costs and spares, beside those of others: `-m benchmarks.cache`."""
