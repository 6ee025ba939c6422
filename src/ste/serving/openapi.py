"""The OpenAPI document: what is true of the model in service, its names and shapes and examples that work."""

from typing import Any

from ste import __version__
from ste.config.serve_settings import LimitSettings
from ste.inference.model_card import ModelCard
from ste.schema import FEATURE_SETS, PERIOD
from ste.serving import openapi_examples as examples
from ste.serving.bars_request import REQUEST
from ste.serving.problems import MEDIA_TYPE, TITLES
from ste.serving.request_features import feature_limits

Schema = dict[str, Any]
_FRACTION: Schema = {"type": "number", "minimum": 0.0, "maximum": 1.000001}
_REFUSALS = {
    "body": ("invalid-json", "too-slow", "body-too-large", "not-json", "invalid-request", "busy"),
    "every": ("head-too-large", "internal"),
}


def openapi(card: ModelCard, version: str, limits: LimitSettings, keyed: bool) -> Schema:
    """The document as plain dicts.

    Args:
        card: of the model in service.
        version: of it.
        limits: of requests.
        keyed: whether `/v1` needs a key.
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
            "/v1/predict": {"post": _predict(card, keyed)},
            "/v1/predict/bars": {"post": _predict_bars(card, keyed)},
            "/v1/model": {
                "get": _get("model", "Card of the model: what it reads, its figures, its verdict", "Model", keyed)
            },
            "/healthz": {"get": _get("health", "Whether the process answers", "Health", False)},
            "/readyz": {"get": _ready()},
            "/metrics": {"get": _metrics(keyed)},
        },
        "components": components,
    }
    if keyed:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return document


def _operation(name: str, summary: str, keyed: bool, kinds: tuple[str, ...], answer: Schema) -> Schema:
    refusals = (*kinds, *(("no-key",) if keyed else ()), *_REFUSALS["every"])
    out: Schema = {"operationId": name, "summary": summary, "responses": {"200": answer, **_problems(refusals)}}
    if keyed:
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


def _body(schema: str, shown: Schema) -> Schema:
    content: Schema = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if shown:
        content["examples"] = shown
    return {"required": True, "content": {"application/json": content}}


def _get(name: str, summary: str, schema: str, keyed: bool) -> Schema:
    return _operation(name, summary, keyed, (), _json(schema, summary))


def _predict(card: ModelCard, keyed: bool) -> Schema:
    out = _operation(
        "predict",
        "Probabilities of rows or windows of features",
        keyed,
        _REFUSALS["body"],
        _json("Predictions", "In the order of the request"),
    )
    if card.view == "flat":
        what = "A row of features is one example."
    else:
        what = (
            f"A window is {card.sequence_length} consecutive rows of one ticker, oldest first. `rows` are consecutive "
            f"rows of one ticker, oldest first, with a prediction for each from row {card.sequence_length} on."
        )
    out["description"] = (
        f"{what} A row is an array of {len(card.features)} numbers in the order of the model's features, or an object "
        "by name. Features are raw; the model scales them."
    )
    out["requestBody"] = _body("PredictRequest", examples.predict(card))
    return out


def _predict_bars(card: ModelCard, keyed: bool) -> Schema:
    out = _operation(
        "predict_bars",
        "Probabilities of each ticker from its daily bars",
        keyed,
        _REFUSALS["body"],
        _json("BarPredictions", "By ticker and date"),
    )
    known = FEATURE_SETS.get(card.feature_set)
    lookback = known.lookback if known else 0
    period = PERIOD[card.frequency]
    needs = f"one complete {period}" if card.view == "flat" else f"{card.sequence_length} complete {period}s in a row"
    out["description"] = (
        f"The service computes the features as training did. A row looks back on {lookback} sessions, and an example "
        f"needs {needs}. News, macro figures and policy events that are not given are neutral."
    )
    out["requestBody"] = _body("BarsRequest", examples.predict_bars(card))
    return out


def _ready() -> Schema:
    out = _get("ready", "Whether requests are answered, and by which model", "Ready", False)
    out["responses"] |= _problems(("busy",))
    return out


def _metrics(keyed: bool) -> Schema:
    answer = {"description": "Figures for Prometheus", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return _operation("metrics", "Figures for Prometheus", keyed, (), answer)


def _object(properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _components(card: ModelCard, limits: LimitSettings) -> Schema:
    length, width = (1 if card.view == "flat" else card.sequence_length), len(card.features)
    columns = [_feature(card, i) for i in range(width)]
    row = {
        "oneOf": [
            {
                "type": "array",
                "prefixItems": columns,
                "items": {"type": "number"},
                "minItems": width,
                "maxItems": width,
            },
            _object(dict(zip(card.features, columns, strict=True))),
        ]
    }
    reference = {"$ref": "#/components/schemas/Row"}
    rows = {"type": "array", "items": reference, "minItems": length, "maxItems": length + limits.examples - 1}
    kinds = [_object({"rows": rows})]
    if card.view != "flat":
        window = {"type": "array", "items": reference, "minItems": length, "maxItems": length}
        windows = {"type": "array", "items": window, "minItems": 1, "maxItems": limits.examples}
        kinds.insert(0, _object({"windows": windows}))
    text: Schema = {"type": "string"}
    asked = REQUEST.json_schema(ref_template="#/components/schemas/{model}")
    said = {
        "class": {"enum": card.classes},
        "probabilities": _object(dict.fromkeys(card.classes, _FRACTION)),
    }
    about = {"model": text, "version": text, "run_id": text}
    return {
        "schemas": {
            "Row": row,
            "PredictRequest": kinds[0] if len(kinds) == 1 else {"oneOf": kinds},
            **asked.pop("$defs"),
            "BarsRequest": asked,
            "Predictions": _object({**about, "predictions": {"type": "array", "items": _object(said)}}),
            "BarPredictions": _object(
                {
                    **about,
                    "predictions": {
                        "type": "array",
                        "items": _object({"ticker": text, "date": {"type": "string", "format": "date"}, **said}),
                    },
                    "without": {"type": "array", "items": text, "description": "Tickers with too few bars."},
                    "notes": {
                        "type": "array",
                        "items": text,
                        "description": "What was dropped, adjusted or looks wrong.",
                    },
                }
            ),
            "Model": {
                "type": "object",
                "required": ["name", "version", "features", "classes"],
                "properties": {"version": text},
            },
            "Health": _object({"status": {"const": "ok"}}),
            "Ready": _object({"status": {"const": "ready"}, **about, "since": text, "warning": text}),
            "Problem": _problem(),
        }
    }


def _feature(card: ModelCard, i: int) -> Schema:
    limit = feature_limits(card)[i]
    known = FEATURE_SETS.get(card.feature_set)
    meaning = next((c.meaning for c in known.columns if c.name == card.features[i]), "") if known else ""
    text = f"{card.features[i]}: {meaning}" if meaning else card.features[i]
    return {"type": "number", "minimum": limit.low, "maximum": limit.high, "description": text}


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
