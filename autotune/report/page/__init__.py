"""A study as one HTML page, with its plots."""
