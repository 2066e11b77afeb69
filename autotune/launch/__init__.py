"""From a trial to running processes and back to a result."""
