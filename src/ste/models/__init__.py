"""The nets. A model is a net here, a file in `conf/model/` that names it, and nothing else.

A net is a plain `torch.nn.Module` from prepared features to logits. It imports torch and nothing of
ours, names what it reads as `input_view` (`"sequence"` for `[B, T, F]`, `"flat"` for `[B, F]`), and
takes its sizes as keyword arguments. `input_size`, `num_classes`, `sequence_length` and `stock_size`
(leading columns that describe the stock) come from the data where its config leaves them out.
"""

from ste.models.dual_tower import DualTowerModel
from ste.models.lstm import SimpleLSTM

__all__ = ["DualTowerModel", "SimpleLSTM"]
