"""What the limits cost and let pass, beside those of others: `-m benchmarks.ratelimits`."""
