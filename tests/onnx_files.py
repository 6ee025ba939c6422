"""Tiny served models for tests: a linear softmax of the logs of raw features, with a card, without torch."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from feature_sets import WEEKLY21
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import CARD, INPUT, OUTPUT
from ste.schema import FeatureSet, class_names


def tiny_card(
    view: str = "sequence",
    sequence_length: int = 4,
    classes: int = 3,
    features: FeatureSet = WEEKLY21,
    **changes: Any,
) -> ModelCard:
    """A complete card of a model that was never trained."""
    values: dict[str, Any] = {
        "name": "Tiny",
        "run_id": "0" * 32,
        "definitions": features.to_dict(),
        "classes": list(class_names(classes)),
        "frequency": features.frequency or "weekly",
        "horizon": 1,
        "view": view,
        "sequence_length": 1 if view == "flat" else sequence_length,
        "labels": {"horizon": 1, "method": "fixed", "threshold": 0.01, "lower": None, "classes": classes},
        "data_source": "world",
        "data_digest": "0123456789abcdef",
        "trained_from": "2015-01-09",
        "trained_to": "2020-12-25",
        "metrics": {},
        "verdict": {
            "word": "better",
            "headline": "TinyNet is better than every baseline.",
            "points": [],
            "details": [],
        },
        "versions": {"ste": "0"},
        "parity": 0.0,
        "reference": {},
    }
    return ModelCard(**{**values, **changes})


def tiny_weights(card: ModelCard, seed: int = 0) -> np.ndarray:
    """float32 `[T F, C]`; a served model of another seed is another model."""
    size = int(np.prod(card.shape))
    return (np.random.default_rng(seed).normal(size=(size, len(card.classes))) / size).astype(np.float32)


def tiny_probabilities(card: ModelCard, features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Predict as `tiny_model` of the same card and seed, by NumPy: `[B, C]` from raw features."""
    logs = np.log1p(np.abs(np.asarray(features, dtype=np.float32))).reshape(len(features), -1)
    odds = np.exp(logs @ tiny_weights(card, seed))
    return odds / odds.sum(axis=1, keepdims=True)


def tiny_model(
    path: Path, view: str = "sequence", sequence_length: int = 4, classes: int = 3, seed: int = 0, **changes: Any
) -> ModelCard:
    """Write a served model; gives its card.

    Args:
        path: of the ONNX file.
        view: `sequence` or `flat`.
        sequence_length: T.
        classes: 2 or 3.
        seed: of its weights.
        changes: further fields of the card, such as `features=PRICES11`.
    """
    card = tiny_card(view, sequence_length, classes, **changes)
    weights = numpy_helper.from_array(tiny_weights(card, seed), "weights")
    one = numpy_helper.from_array(np.ones((), dtype=np.float32), "one")
    nodes = [
        helper.make_node("Abs", [INPUT], ["size"]),
        helper.make_node("Add", ["size", "one"], ["above"]),
        helper.make_node("Log", ["above"], ["logs"]),
        helper.make_node("Flatten", ["logs"], ["rows"], axis=1),
        helper.make_node("MatMul", ["rows", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], [OUTPUT], axis=-1),
    ]
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", *card.shape])]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", classes])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, [weights, one])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(proto, {CARD: card.to_json()})
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())
    return card
