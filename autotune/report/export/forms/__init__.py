"""The forms in which a configuration is carried elsewhere: one file a form, each with `text(best) -> str`."""
