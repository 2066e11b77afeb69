"""A study on disk: its folder, Optuna's storage, opening and locking."""
