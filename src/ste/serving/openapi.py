"""The OpenAPI document of the deployed model, with its feature names, shapes and valid examples."""

from datetime import date
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

from ste import __version__
from ste.config.serve_settings import LimitSettings
from ste.inference.inputs import card_look_back
from ste.inference.model_card import ModelCard
from ste.inference.training_data import synthetic_warning
from ste.schema import PERIOD
from ste.serving import openapi_examples as examples
from ste.serving.bars_request import REQUEST
from ste.serving.problems import MEDIA_TYPE, TITLES
from ste.serving.request_features import request_schema

Schema = dict[str, Any]
_ERRORS = {
    "body": ("invalid-json", "too-slow", "body-too-large", "not-json", "invalid-request", "busy"),
    "all": ("head-too-large", "internal"),
}


_Probabilities = dict[str, Annotated[float, Field(ge=0.0, le=1.000001)]]
RowPrediction = TypedDict("RowPrediction", {"class": str, "probabilities": _Probabilities})
TickerPrediction = TypedDict(
    "TickerPrediction", {"ticker": str, "date": date, "class": str, "probabilities": _Probabilities}
)


class ServedBy(TypedDict):
    """The model of a response."""

    model: str
    version: str
    run_id: str


class PredictResponse(ServedBy):
    """Predictions in the order of the request."""

    predictions: list[RowPrediction]


class BarsResponse(ServedBy):
    """Predictions by ticker and date."""

    predictions: list[TickerPrediction]
    without: Annotated[list[str], Field(description="Tickers with too few bars.")]
    notes: Annotated[
        list[str],
        Field(description="Rows that were dropped or adjusted, suspicious values, warnings about the model."),
    ]


class ModelResponse(TypedDict):
    """Model card: inputs, metrics and verdict."""

    name: str
    version: str
    features: list[str]
    classes: list[str]


class HealthResponse(TypedDict):
    """Liveness probe."""

    status: Literal["ok"]


class ReadyResponse(ServedBy):
    """Readiness probe, with the deployed model."""

    status: Literal["ready"]
    since: str
    warning: str


class FaultDetails(TypedDict):
    """Invalid field of a body."""

    pointer: Annotated[str, Field(description="JSON pointer to the field, as a URI fragment (RFC 6901).")]
    detail: str


class ProblemDetails(TypedDict):
    """Problem details (RFC 9457)."""

    type: Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
    title: str
    status: int
    detail: str
    errors: NotRequired[Annotated[list[FaultDetails], Field(min_length=1)]]


_RESPONSES = (PredictResponse, BarsResponse, ModelResponse, HealthResponse, ReadyResponse, ProblemDetails)


def openapi(card: ModelCard, version: str, limits: LimitSettings, needs_key: bool) -> Schema:
    """Build the document as nested dicts.

    Args:
        card: card of the deployed model.
        version: version of the deployed model.
        limits: limits of requests.
        needs_key: whether the routes under `/v1` need an API key.
    """
    adapters = [request_schema(card, limits.max_examples), REQUEST, *map(TypeAdapter, _RESPONSES)]
    _, schemas = TypeAdapter.json_schemas(
        [(str(number), "validation", adapter) for number, adapter in enumerate(adapters)],
        ref_template="#/components/schemas/{model}",
    )
    about = f"Class probabilities of the coming {PERIOD[card.frequency]} by {card.name} ({version})."
    components = {"schemas": schemas["$defs"]}
    document: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "Stock Trend Estimator",
            "version": __version__,
            "description": " ".join(filter(None, (about, synthetic_warning(card)))),
        },
        "paths": {
            "/v1/predict": {"post": _predict(card, needs_key)},
            "/v1/predict/bars": {"post": _predict_bars(card, needs_key)},
            "/v1/model": {"get": _get("model", ModelResponse, needs_key)},
            "/healthz": {"get": _get("health", HealthResponse, False)},
            "/readyz": {"get": _get("ready", ReadyResponse, False)},
            "/metrics": {"get": _metrics(needs_key)},
        },
        "components": components,
    }
    if needs_key:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return document


def _operation(name: str, summary: str, needs_key: bool, kinds: tuple[str, ...], response: Schema) -> Schema:
    errors = (*kinds, *(("no-key",) if needs_key else ()), *_ERRORS["all"])
    out: Schema = {"operationId": name, "summary": summary, "responses": {"200": response, **_problems(errors)}}
    if needs_key:
        out["security"] = [{"key": []}]
    return out


def _problems(kinds: tuple[str, ...]) -> Schema:
    out: Schema = {}
    for kind in kinds:
        status, title = TITLES[kind]
        out[str(status)] = {
            "description": title,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        if kind == "no-key":
            out[str(status)]["headers"] = {"www-authenticate": {"schema": {"type": "string"}, "required": True}}
    return out


def _json(response: type) -> Schema:
    return {
        "description": _title(response),
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{response.__name__}"}}},
    }


def _title(response: type) -> str:
    return str(response.__doc__).removesuffix(".")


def _body(schema: str, body_examples: Schema) -> Schema:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "examples": body_examples}
    return {"required": True, "content": {"application/json": content}}


def _get(name: str, response: type, needs_key: bool) -> Schema:
    return _operation(name, _title(response), needs_key, (), _json(response))


def _predict(card: ModelCard, needs_key: bool) -> Schema:
    out = _operation(
        "predict",
        "Probabilities of rows or windows of features",
        needs_key,
        _ERRORS["body"],
        _json(PredictResponse),
    )
    if card.view == "flat":
        usage = "A row of features is one example."
    else:
        usage = (
            f"A window is {card.sequence_length} consecutive rows of one ticker, oldest first. `rows` are consecutive "
            f"rows of one ticker, oldest first, with a prediction for each from row {card.sequence_length} on."
        )
    out["description"] = (
        f"{usage} A row is an array of {len(card.features)} numbers in the order of the model's features, or an object "
        "by name. Features are raw; the model scales them."
    )
    if card.sees_market:
        out["description"] += (
            " The model predicts the tickers of a date together: "
            + ("rows" if card.view == "flat" else "windows")
            + " of a request are taken for all tickers of one date, so send one date per request."
        )
        if card.view != "flat":
            out["description"] += " Each example of `rows` is a date of its own with a single ticker."
    out["requestBody"] = _body("PredictRequest", examples.predict(card))
    return out


def _predict_bars(card: ModelCard, needs_key: bool) -> Schema:
    out = _operation(
        "predict_bars",
        "Probabilities of each ticker from its daily bars",
        needs_key,
        _ERRORS["body"],
        _json(BarsResponse),
    )
    lookback = card_look_back(card)
    period = PERIOD[card.frequency]
    length = f"one complete {period}" if card.view == "flat" else f"{card.sequence_length} complete {period}s in a row"
    out["description"] = (
        f"The service computes the features as in training. The look-back is {lookback} sessions, and an example "
        f"needs {length}. News, macro figures and policy events default to neutral values."
    )
    if card.sees_market:
        out["description"] += (
            " The model predicts the tickers of a date together: send the bars of all tickers in one request."
        )
    out["requestBody"] = _body("BarsRequest", examples.predict_bars(card))
    return out


def _metrics(needs_key: bool) -> Schema:
    response = {"description": "Prometheus metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return _operation("metrics", "Prometheus metrics", needs_key, (), response)
