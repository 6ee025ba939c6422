"""STE's sweepers: every combination (`ste_grid`), or a search (`ste_optuna`)."""
