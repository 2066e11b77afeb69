"""Pure functions on measurements: metrics and constraints, estimates, drift correction, selection, load-test search."""
