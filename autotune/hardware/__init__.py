"""This machine: CPUs, memory, limits, libraries, other Python environments."""
