"""The search: propose a configuration, run the trial, record the result."""
