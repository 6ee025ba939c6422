"""A small served model with a reference, made without torch: logistic regression on three raw features."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from feature_sets import FEATURES, WEEKLY21
from ste.config import SyntheticSettings
from ste.data.build.labelled_rows import build_table
from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scoring import score
from ste.inference.card_metrics import AUTO_BLOCKS, auto_block_metrics
from ste.inference.inputs import windows_of_rows
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import CARD, INPUT, OUTPUT, ServedModel
from ste.inference.reference import ReferenceDistributions
from ste.inference.training_data import SAMPLE_ROWS, training_sample
from ste.market.calendar import WEEKS
from ste.schema import DIRECTION, RETURN, class_names, probability_names

CLASSES = class_names(3)
READ = ("stock_rsi", "news_sentiment", "macro_vix")
WORLD = {"source": "world", "tickers": 4, "start": "2014-01-01", "end": "2021-12-31", "seed": 5}
TRAINED_TO, TESTED_FROM = "2018-12-28", "2019-01-04"


@dataclass(frozen=True)
class Monitored:
    """A model on disk, and the world that it came from.

    Attributes:
        path: of the ONNX file.
        model: loaded.
        table: the world's labelled table, all weeks.
    """

    path: Path
    model: ServedModel
    table: pd.DataFrame


def monitored(path: Path, *, length: int | None = 3, until: str = "2020-12-31", **card: object) -> Monitored:
    """Train on the world's first five years, test to `until`, and write the model.

    Args:
        path: of the file.
        length: periods in a window; None reads rows.
        until: last date of the test; what comes later is new.
        card: fields to change.
    """
    table, _, _, _ = build_table(SyntheticSettings(**WORLD))
    train, test = table["date"] <= TRAINED_TO, (table["date"] >= TESTED_FROM) & (table["date"] <= until)
    plain = ModelCard(
        name="TinyLogistic",
        run_id="0123456789abcdef0123456789abcdef",
        definitions=WEEKLY21.to_dict(),
        classes=list(CLASSES),
        frequency="weekly",
        horizon=1,
        view="flat" if length is None else "sequence",
        sequence_length=length or 1,
        labels={"horizon": 1, "method": "fixed", "threshold": 0.01, "lower": None, "classes": 3},
        data_source="world",
        data_digest="d1gest",
        trained_from=f"{table['date'].min():%Y-%m-%d}",
        trained_to=TRAINED_TO,
        metrics={},
        verdict={
            "word": "better than guessing",
            "headline": "TinyLogistic is better than guessing.",
            "points": ["It is better than majority on the test split."],
            "details": [],
        },
        versions={"ste": "0"},
        parity=0.0,
        reference={},
    )
    coefficients, intercept = _fitted(table[train])
    content = _graph(plain, coefficients, intercept)
    bare = _load(path, content, plain)
    train_examples = windows_of_rows(table[train], plain)
    test_examples = windows_of_rows(table[test], plain)
    probabilities = bare.probabilities(test_examples.features)
    reference = ReferenceDistributions.from_examples(
        train_examples.features,
        probabilities,
        plain.feature_set,
        plain.classes,
        periods=WEEKS.index(pd.DatetimeIndex(train_examples.date)),
        probability_periods=WEEKS.index(pd.DatetimeIndex(test_examples.date)),
        labels=table[train][DIRECTION].to_numpy()[train_examples.rows],
    )
    rows = table[test].iloc[test_examples.rows]
    frame = row_columns(rows, "test", rows[DIRECTION].to_numpy(), rows[RETURN].to_numpy())
    frame[list(probability_names(CLASSES))] = probabilities.astype(np.float64)
    predictions = Predictions(frame, CLASSES)
    scored = score(predictions, resamples=200).to_dict()
    figures = {AUTO_BLOCKS: auto_block_metrics(predictions)} | {
        name: scored[name] for name in ("examples", "periods", "unit", "figures", "baselines", "reliability")
    }
    rows = {
        "tickers": sorted(table["ticker"].unique()),
        "training_sample": training_sample(table[train].iloc[:: int(train.sum()) // SAMPLE_ROWS], WEEKLY21),
    }
    whole = replace(plain, metrics={"test": figures}, reference=reference.to_dict(), **{**rows, **card})
    return Monitored(path, _load(path, content, whole), table)


def _fitted(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    x = rows[list(READ)].to_numpy()
    mean, scale = x.mean(axis=0), x.std(axis=0)
    fit = LogisticRegression(C=0.1).fit((x - mean) / scale, rows[DIRECTION])
    weights = fit.coef_ / scale
    out = np.zeros((len(FEATURES), len(CLASSES)), dtype=np.float32)
    out[[FEATURES.index(name) for name in READ]] = weights.T
    return out, (fit.intercept_ - weights @ mean).astype(np.float32)


def _graph(card: ModelCard, weights: np.ndarray, intercept: np.ndarray) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gemm", ["last", "weights", "intercept"], ["scores"]),
        helper.make_node("Softmax", ["scores"], [OUTPUT], axis=1),
    ]
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(intercept, "intercept")]
    if card.view == "sequence":
        nodes.insert(0, helper.make_node("Gather", [INPUT, "end"], ["last"], axis=1))
        constants.append(numpy_helper.from_array(np.array(-1, dtype=np.int64), "end"))
    else:
        nodes.insert(0, helper.make_node("Identity", [INPUT], ["last"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["B", *card.shape])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["B", len(card.classes)])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _load(path: Path, content: onnx.ModelProto, card: ModelCard) -> ServedModel:
    del content.metadata_props[:]
    helper.set_model_props(content, {CARD: card.to_json()})
    path.write_bytes(content.SerializeToString())
    model = ServedModel(path)
    assert model.version == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return model
