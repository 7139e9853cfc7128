"""Timing minigrad beside torch: `python -m benchmarks`."""
