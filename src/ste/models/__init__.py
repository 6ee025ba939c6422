"""The nets: a file here with a class marked `@MODELS.register`, and a file in `conf/model/` that names it.

A net is a plain `torch.nn.Module` from normalized features to logits `[B, C]`. It imports torch, `base` and the
registry alone, names its input as `input_view` (`"sequence"` for windows `[B, T, F]`, `"flat"` for rows `[B, F]`) and
takes its sizes as keyword arguments. `input_size`, `num_classes`, `sequence_length` and `stock_size` (number of leading
columns that describe the stock) come from the data where the configuration leaves them out.

The forward pass of the base class is `classify(latent(x))`: `latent`, which each net writes, returns the input of the
last linear layer, `[B, D]`, and `classify` is that layer. Adversarial training perturbs the latent representation.

A net that predicts the tickers of a date together inherits `MarketNet`: it declares `sees_market` and takes the date of
each example as a second input, `group`, int64 `[B]`.

A net indexes dimensions from the last, so that it also runs with a leading dimension of replicas
(`ste.seed_ensembles`), whose layers are stacked.
"""
