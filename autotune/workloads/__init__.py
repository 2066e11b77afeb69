"""Providers, the sources of models; one file each. See `interfaces.Provider`."""
