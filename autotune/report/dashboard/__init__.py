"""A live view of a study's folder in Optuna's dashboard."""
