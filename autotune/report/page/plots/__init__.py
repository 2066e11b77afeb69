"""Plots of a study: each module has `figure(study)`, a plotly figure, or None if there is nothing to draw."""
