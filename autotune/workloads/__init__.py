"""Where models come from; one file each. See `interfaces.Provider`."""
