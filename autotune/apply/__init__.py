"""From `best.json` to a running program, on the machine that it was tuned on or on another."""
