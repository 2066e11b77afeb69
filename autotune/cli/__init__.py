"""The command line: one small function a command.

Imports stay inside the functions, so that `--help` answers at once.
"""
