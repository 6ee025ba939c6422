"""Sweeps: many trials, each a run of its own below one parent run. Only this package imports Optuna and plotly.

The plugins that connect it to Hydra, with the parsing of overrides and the launching of jobs, are
`hydra_plugins.ste_sweepers`.
"""
