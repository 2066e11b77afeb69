"""The confirmation: interleaved re-measurement of the finalists, the only source of claims."""
