"""Transforms of a training batch: a file here, or of a plugin, with a function in `ste.registry.AUGMENTATIONS`.

A transform is a function `(batch, rng, **arguments)` that returns the changed `AugmentedBatch`. Its arguments are
those of `AugmentSettings` by name, a plugin's those of `augment.arguments`. Where it leaves the target alone,
`augment.fraction` of the examples are changed. It draws from `rng` alone.
"""
