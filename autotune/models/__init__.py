"""The model built in a child process, its data, and its prepared artifacts in the cache."""
