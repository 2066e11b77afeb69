"""Pure statistics: estimates, drift correction, selection, latency percentiles, metrics."""
