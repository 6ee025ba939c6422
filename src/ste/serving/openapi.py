"""The OpenAPI document of the deployed model, with its feature names, shapes and valid examples."""

from typing import Any

from ste import __version__
from ste.config.serve_settings import LimitSettings
from ste.inference.model_card import ModelCard
from ste.schema import FEATURE_SETS, PERIOD
from ste.serving import openapi_examples as examples
from ste.serving.bars_request import REQUEST
from ste.serving.problems import MEDIA_TYPE, TITLES
from ste.serving.request_features import request_schema

Schema = dict[str, Any]
_FRACTION: Schema = {"type": "number", "minimum": 0.0, "maximum": 1.000001}
_ERRORS = {
    "body": ("invalid-json", "too-slow", "body-too-large", "not-json", "invalid-request", "busy"),
    "all": ("head-too-large", "internal"),
}


def openapi(card: ModelCard, version: str, limits: LimitSettings, needs_key: bool) -> Schema:
    """Build the document as nested dicts.

    Args:
        card: card of the deployed model.
        version: version of the deployed model.
        limits: limits of requests.
        needs_key: whether the routes under `/v1` need an API key.
    """
    components = _components(card, limits)
    document: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "Stock Trend Estimator",
            "version": __version__,
            "description": f"Class probabilities of the coming {PERIOD[card.frequency]} by {card.name} ({version}).",
        },
        "paths": {
            "/v1/predict": {"post": _predict(card, needs_key)},
            "/v1/predict/bars": {"post": _predict_bars(card, needs_key)},
            "/v1/model": {"get": _get("model", "Model card: inputs, metrics and verdict", "Model", needs_key)},
            "/healthz": {"get": _get("health", "Liveness probe", "Health", False)},
            "/readyz": {"get": _get("ready", "Readiness probe, with the deployed model", "Ready", False)},
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
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if kind == "no-key":
            out[str(status)]["headers"] = {"www-authenticate": {"schema": {"type": "string"}, "required": True}}
    return out


def _json(schema: str, description: str) -> Schema:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _body(schema: str, body_examples: Schema) -> Schema:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "examples": body_examples}
    return {"required": True, "content": {"application/json": content}}


def _get(name: str, summary: str, schema: str, needs_key: bool) -> Schema:
    return _operation(name, summary, needs_key, (), _json(schema, summary))


def _predict(card: ModelCard, needs_key: bool) -> Schema:
    out = _operation(
        "predict",
        "Probabilities of rows or windows of features",
        needs_key,
        _ERRORS["body"],
        _json("Predictions", "Predictions in the order of the request"),
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
    out["requestBody"] = _body("PredictRequest", examples.predict(card))
    return out


def _predict_bars(card: ModelCard, needs_key: bool) -> Schema:
    out = _operation(
        "predict_bars",
        "Probabilities of each ticker from its daily bars",
        needs_key,
        _ERRORS["body"],
        _json("BarPredictions", "Predictions by ticker and date"),
    )
    lookback = FEATURE_SETS[card.feature_set].lookback
    period = PERIOD[card.frequency]
    length = f"one complete {period}" if card.view == "flat" else f"{card.sequence_length} complete {period}s in a row"
    out["description"] = (
        f"The service computes the features as in training. The look-back is {lookback} sessions, and an example "
        f"needs {length}. News, macro figures and policy events default to neutral values."
    )
    out["requestBody"] = _body("BarsRequest", examples.predict_bars(card))
    return out


def _metrics(needs_key: bool) -> Schema:
    response = {"description": "Prometheus metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return _operation("metrics", "Prometheus metrics", needs_key, (), response)


def _object(properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _components(card: ModelCard, limits: LimitSettings) -> Schema:
    text: Schema = {"type": "string"}
    requests = {"PredictRequest": request_schema(card, limits.max_examples), "BarsRequest": REQUEST}
    schemas = {name: one.json_schema(ref_template="#/components/schemas/{model}") for name, one in requests.items()}
    parts = [schema.pop("$defs") for schema in schemas.values()]
    prediction = {
        "class": {"enum": card.classes},
        "probabilities": _object(dict.fromkeys(card.classes, _FRACTION)),
    }
    model = {"model": text, "version": text, "run_id": text}
    return {
        "schemas": {
            **schemas,
            **parts[0],
            **parts[1],
            "Predictions": _object({**model, "predictions": {"type": "array", "items": _object(prediction)}}),
            "BarPredictions": _object(
                {
                    **model,
                    "predictions": {
                        "type": "array",
                        "items": _object({"ticker": text, "date": {"type": "string", "format": "date"}, **prediction}),
                    },
                    "without": {"type": "array", "items": text, "description": "Tickers with too few bars."},
                    "notes": {
                        "type": "array",
                        "items": text,
                        "description": "Rows that were dropped or adjusted, and suspicious values.",
                    },
                }
            ),
            "Model": {
                "type": "object",
                "required": ["name", "version", "features", "classes"],
                "properties": {"version": text},
            },
            "Health": _object({"status": {"const": "ok"}}),
            "Ready": _object({"status": {"const": "ready"}, **model, "since": text, "warning": text}),
            "Problem": _problem(),
        }
    }


def _problem() -> Schema:
    fault = _object(
        {
            "pointer": {"type": "string", "description": "JSON pointer to the field, as a URI fragment (RFC 6901)."},
            "detail": {"type": "string"},
        }
    )
    return {
        **_object(
            {
                "type": {"type": "string", "format": "uri-reference"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "errors": {"type": "array", "items": fault, "minItems": 1},
            },
            optional=("errors",),
        ),
        "description": "Problem details (RFC 9457).",
    }
