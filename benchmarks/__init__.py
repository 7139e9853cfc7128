"""Timing minigrad beside torch and other engines: `minigrad bench`."""
