"""From a torch module to the bytes of one self-contained ONNX file."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from ste.inference.export.trees import fill, number
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import CARD, INPUT, OUTPUT


def traced(module: nn.Module, example: torch.Tensor) -> onnx.ModelProto:
    """The module as an ONNX graph with a batch of any size, the same bytes for the same module.

    Args:
        module: raw features to probabilities.
        example: raw features of two examples or more, `[B, T, F]` or `[B, F]`.
    """
    trees = number(module)
    with _quiet(), torch.no_grad():
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
    _strip(proto)
    fill(proto, trees)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def with_card(proto: onnx.ModelProto, card: ModelCard) -> bytes:
    """The file's content."""
    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    whole.producer_name = "ste"
    whole.metadata_props.add(key=CARD, value=card.text())
    return bytes(whole.SerializeToString(deterministic=True))


def _strip(proto: onnx.ModelProto) -> None:
    """Take out what the exporter says of itself: source lines, paths and stack traces."""
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
def _quiet() -> Iterator[None]:
    """The exporter and what it calls tell of each step, at a cost that is above the step's own."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
