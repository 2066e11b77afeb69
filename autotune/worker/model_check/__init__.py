"""The check of a model before its first trial: what would spoil a study, one file a kind, found by a few calls."""
