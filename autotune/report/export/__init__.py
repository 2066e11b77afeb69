"""`best.json` and the forms in which a configuration is carried elsewhere."""
