"""From a YAML space file to the search space on this machine."""
