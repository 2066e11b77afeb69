"""A study as text: table, summary, data frame."""
