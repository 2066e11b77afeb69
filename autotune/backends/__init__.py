"""Backends, the runtimes that a model runs in; one file each. See `interfaces.Backend`."""
