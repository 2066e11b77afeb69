"""The output for people and production systems: tables, pages and files."""
