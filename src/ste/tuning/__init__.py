"""Sweeps: many trials, each a run of its own under one parent. Optuna and plotly are imported here alone.

Hydra's side, what is typed and how jobs are launched, is `hydra_plugins.ste_sweepers`.
"""
