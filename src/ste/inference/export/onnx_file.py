"""Convert a torch module to the bytes of one self-contained ONNX file."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from ste.inference.export.estimators import insert_estimators, number_estimators
from ste.inference.export.trees import insert_trees, number_trees
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import CARD, INPUT, OUTPUT


def trace(module: nn.Module, example: torch.Tensor) -> onnx.ModelProto:
    """Trace a module as an ONNX graph for batches of any size; the same module gives the same bytes.

    Args:
        module: raw features to probabilities.
        example: raw features of two or more examples, `[B, T, F]` or `[B, F]`.
    """
    trees, estimators = number_trees(module), number_estimators(module)
    with _silent(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    proto: onnx.ModelProto = program.model_proto
    _remove_metadata(proto)
    insert_trees(proto, trees)
    insert_estimators(proto, estimators)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def serialize(proto: onnx.ModelProto, card: ModelCard) -> bytes:
    """Serialize a graph with its model card."""
    complete = onnx.ModelProto()
    complete.CopyFrom(proto)
    complete.producer_name = "ste"
    complete.metadata_props.add(key=CARD, value=card.to_json())
    return bytes(complete.SerializeToString(deterministic=True))


def _remove_metadata(proto: onnx.ModelProto) -> None:
    """Remove the exporter's source lines, paths and stack traces."""
    proto.ClearField("metadata_props")
    proto.ClearField("doc_string")
    graph = proto.graph
    graph.ClearField("doc_string")
    graph.ClearField("metadata_props")
    graph.ClearField("value_info")
    graph.name = "ste"
    for entry in [*graph.node, *graph.initializer, *graph.input, *graph.output]:
        entry.ClearField("doc_string")
        entry.ClearField("metadata_props")


@contextmanager
def _silent() -> Iterator[None]:
    """Disable log records below ERROR: the exporter's take longer than its work."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
