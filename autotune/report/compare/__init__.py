"""Several studies side by side.

In order: `best_row` (a study's best configuration), `cross_machine` and `pareto_front` (what rows share), `groups` (the
whole comparison), `render` (table, Markdown, CSV, JSON); `comparison_types` has the results.
"""
