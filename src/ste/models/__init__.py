"""The nets. A model is a net here, a file in `conf/model/` that names it, and nothing else.

A net is a plain `torch.nn.Module` from prepared features to logits. It imports torch and nothing of
ours, names what it reads as `input_view` (`"sequence"` for `[B, T, F]`, `"flat"` for `[B, F]`), and
takes its sizes as keyword arguments. `input_size`, `num_classes`, `sequence_length` and `stock_size`
(leading columns that describe the stock) come from the data where its config leaves them out.

Its forward pass is `classify(latent(x))`: `latent` gives what enters the last linear layer, `[B, D]`,
and `classify` is that layer, `[B, D]` to logits `[B, C]`. Adversarial training perturbs what lies between.

Dimensions are counted from the last, so that a net also runs with a dimension of replicas in front of all
(`ste.seed_ensembles`), its layers then being stacks of layers.
"""

from ste.models.alstm import AttentiveLSTM
from ste.models.dual_tower import DualTowerModel
from ste.models.gru import SimpleGRU
from ste.models.lstm import SimpleLSTM
from ste.models.mlp import MLP
from ste.models.tcn import TCN
from ste.models.transformer import TransformerClassifier

__all__ = ["MLP", "TCN", "AttentiveLSTM", "DualTowerModel", "SimpleGRU", "SimpleLSTM", "TransformerClassifier"]
