"""The levels of a verdict, in a module that imports nothing."""

LEVELS = ("better", "better than guessing", "not better", "inconclusive")
"""Better than every baseline; than majority and persistence only; than not even those; too few periods."""
