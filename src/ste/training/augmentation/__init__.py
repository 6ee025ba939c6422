"""Augmentation of training examples: of each batch (`batch`), and a resampled market beside them (`synthetic`)."""
