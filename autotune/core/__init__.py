"""Data types, plugin contracts, the wire protocol, errors and files: imports nothing else of autotune."""
