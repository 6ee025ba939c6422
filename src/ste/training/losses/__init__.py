"""The losses other than cross-entropy: a file here with a class marked `@LOSSES.register`.

A loss is a `torch.nn.Module` of logits `[B, C]` and labels int64 `[B]`. One that compares the examples of a date
declares `needs_groups = True` and takes the date of each example as a third argument, int64 `[B]`; batches are then
whole dates (`ste.data.date_loader`).
"""
