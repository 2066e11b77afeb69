"""Settings of the process; one file each. See `interfaces.Knob`."""
