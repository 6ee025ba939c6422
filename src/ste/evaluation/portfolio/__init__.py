"""Portfolios that trade predictions: their weights, their ledger after costs, and their figures."""
