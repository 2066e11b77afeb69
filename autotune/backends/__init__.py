"""What runs the model; one file each. See `interfaces.Backend`."""
