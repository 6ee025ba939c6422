"""Augmentation of training examples: transforms of each batch, and additional examples from a resampled market."""
