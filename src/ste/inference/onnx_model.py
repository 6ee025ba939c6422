"""Run a served model: an ONNX file under ONNX Runtime."""

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime as ort

from ste.config.plugin_record import check_needed
from ste.errors import RunError
from ste.inference.model_card import ModelCard

CARD = "ste.card"
"""Key of the card in the file's metadata."""
INPUT, OUTPUT = "features", "probabilities"


class ServedModel:
    """Predicts class probabilities from raw features. Safe to call from several threads.

    Args:
        path: of an ONNX file that `python -m ste.export` wrote.
        threads: of ONNX Runtime within one call.

    Attributes:
        card: the model card.
        version: first 12 hexadecimal digits of the file's SHA-256.

    Raises:
        RunError: there is no such file, or another program wrote it.
        ConfigError: a plugin that its features need is not imported.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        if not path.is_file():
            raise RunError(f"model={path}: there is no such file. Write one with python -m ste.export output={path}.")
        content = path.read_bytes()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # From memory, so that a file that refers to other files is refused.
        try:
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's errors have no common class
            reason = str(error).splitlines()[0][:200]
            raise RunError(
                f"model={path}: not an ONNX file that can be read ({reason}). Export the model again."
            ) from None
        text = self._session.get_modelmeta().custom_metadata_map.get(CARD)
        if text is None:
            raise RunError(f"model={path}: an ONNX file without a model card. Expected one of python -m ste.export.")
        self.card = ModelCard.from_json(text, f"model={path}")
        check_needed(self.card.plugins, f"model={path}: a function of its features")
        self.version = hashlib.sha256(content).hexdigest()[:12]

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Predict class probabilities, float32 `[B, C]`.

        Args:
            features: raw, float32 `[B, T, F]` or `[B, F]`; `card.shape` is the shape of one example.
        """
        (out,) = self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(features, dtype=np.float32)})
        return np.asarray(out)
