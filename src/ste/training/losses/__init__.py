"""Losses of nets: a file here, or of a plugin, with a class marked `@LOSSES.register` or `@ste.register("loss")`.

A loss is a module with the arguments `fit.loss_arguments`. `forward(logits, target, inputs)` returns the mean loss of a
batch that is minimized: scalar for logits `[B, C]`, or for R replicas of a net, which are trained together, `[R]` for
logits `[R, B, C]`. Most losses are a mean over examples: a subclass of `base.Loss` then writes `values` alone, the loss
of each example, and indexes dimensions from the last. `target` is int64 labels `[B]`, or fractions of the classes
float `[B, C]` where examples are mixed or labels smoothed.

The base class reduces the values: each example weighs as much as `fit.class_weights` gives its class, times its own
weight, `inputs.weight`. A loss that compares examples, such as a ranking within a date, writes `forward` itself, reads
`inputs.group` and sets `per_example = False`, which excludes adversarial training and mixup.
"""
