"""Seed ensembles: many replicas of one net, trained as one batched computation."""
