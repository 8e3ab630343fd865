"""The OpenAPI description of the hot routes, made from what the bundles say."""

from typing import Any

from sluice_model_api.bundle.manifest import InputSpec, Manifest
from sluice_model_api.repository import Repository
from sluice_model_api.tensors import DTYPES

Document = dict[str, Any]

_ERROR: Document = {
    "description": "What was wrong and what is expected",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            }
        }
    },
}
_LOCAL_TIME = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
)
_TYPES = {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "O": "string"}


def hot_paths(repository: Repository) -> Document:
    """Paths of the protocol and of ``/predict`` for every model that is served."""
    ready = {"200": _answer({"type": "object"}), "503": _ERROR}
    paths: Document = {
        "/v2/health/live": {"get": _route("Is the process alive?", {"200": _any()})},
        "/v2/health/ready": {"get": _route("Can every model answer?", ready)},
        "/v2": {"get": _route("Server metadata", {"200": _any()})},
        "/v2/models": {"get": _route("Names of the models", {"200": _any()})},
        "/v2/repository/index": {
            "post": _route(
                "Models, versions and their states",
                {"200": _answer({"type": "array", "items": {"type": "object"}}), "400": _ERROR},
                body={"type": "object", "properties": {"ready": {"type": "boolean"}}},
                required=False,
            )
        },
        "/metrics": {
            "get": _route(
                "Counters for Prometheus",
                {"200": {"description": "text", "content": {"text/plain": {}}}},
            )
        },
    }
    for name in repository.names:
        manifest = repository.entry(name).manifest
        versions = ["", *(f"/versions/{version}" for version in repository.versions(name))]
        for version in versions:
            base = f"/v2/models/{name}{version}"
            paths[base] = {"get": _route(f"Metadata of {name}", {"200": _any()})}
            paths[f"{base}/ready"] = {"get": _route(f"Can {name} answer?", ready)}
            paths[f"{base}/infer"] = {"post": _infer(manifest)}
        path = "/predict" if len(repository.names) == 1 else f"/predict/{name}"
        paths[path] = {"post": _predict(manifest)}
    return paths


def with_our_errors(paths: Document) -> Document:
    """FastAPI's routes with the errors that they really answer, instead of its 422."""
    for operations in paths.values():
        for operation in operations.values():
            answers = operation["responses"]
            answers.pop("422", None)
            answers.update({"400": _ERROR, "401": _ERROR, "503": _ERROR})
    return paths


def _any() -> Document:
    return _answer({"type": "object"})


def _answer(schema: Document) -> Document:
    return {"description": "ok", "content": {"application/json": {"schema": schema}}}


def _route(
    summary: str, answers: Document, *, body: Document | None = None, required: bool = True
) -> Document:
    route: Document = {"summary": summary, "responses": answers}
    if body is not None:
        route["requestBody"] = {
            "required": required,
            "content": {"application/json": {"schema": body}},
        }
    return route


def _answers(schema: Document) -> Document:
    return {
        "200": _answer(schema),
        "400": _ERROR,
        "413": _ERROR,
        "415": _ERROR,
        "503": _ERROR,
    }


def _infer(manifest: Manifest) -> Document:
    tensors = [
        {
            "type": "object",
            "required": ["name", "shape", "datatype", "data"],
            "properties": {
                "name": {"const": spec.name},
                "shape": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 1},
                    "minItems": len(spec.shape),
                    "maxItems": len(spec.shape),
                },
                "datatype": {"const": spec.datatype},
                "data": {"type": "array"},
            },
        }
        for spec in manifest.inputs
    ]
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 256},
            "parameters": {"type": "object"},
            "inputs": {
                "type": "array",
                "items": {"oneOf": tensors},
                "minItems": len(tensors),
                "maxItems": len(tensors),
            },
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"enum": [output.name for output in manifest.outputs]}},
                },
            },
        },
        "example": _infer_example(manifest),
    }
    answer = {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": {"type": "object"}},
        },
    }
    return _route(f"Predict with {manifest.name} (tensors)", _answers(answer), body=body)


def _infer_example(manifest: Manifest) -> Document:
    inputs = []
    for spec in manifest.inputs:
        values = manifest.parity.inputs[spec.name]
        width = len(values) // manifest.parity.rows
        inputs.append(
            {
                "name": spec.name,
                "shape": [1, *spec.shape[1:]],
                "datatype": spec.datatype,
                "data": values[:width],
            }
        )
    return {"inputs": inputs}


def _predict(manifest: Manifest) -> Document:
    record = {
        "type": "object",
        "required": [spec.name for spec in manifest.inputs],
        "additionalProperties": False,
        "properties": {
            **{spec.name: _field(spec) for spec in manifest.inputs},
            "prediction_id": {"type": "string", "maxLength": 256},
            "entity_id": {"type": "string", "maxLength": 256},
        },
        "example": {
            spec.name: manifest.parity.inputs[spec.name][0]
            for spec in manifest.inputs
            if len(spec.shape) == 1
        },
    }
    answer = {
        "type": "object",
        "required": ["prediction", "model", "version", "prediction_id"],
        "properties": {
            "prediction": {},
            "model": {"type": "string"},
            "version": {"type": "string"},
            "prediction_id": {"type": "string"},
        },
    }
    body = {"oneOf": [record, {"type": "array", "items": record, "minItems": 1}]}
    both = {"oneOf": [answer, {"type": "array", "items": answer}]}
    return _route(f"Predict with {manifest.name} (its own fields)", _answers(both), body=body)


def _field(spec: InputSpec) -> Document:
    schema: Document = {"type": _TYPES[DTYPES[spec.datatype].kind]}
    if spec.minimum is not None:
        schema["minimum"] = spec.minimum
    if spec.above is not None:
        schema["exclusiveMinimum"] = spec.above
    if spec.maximum is not None:
        schema["maximum"] = spec.maximum
    if spec.format == "datetime":
        # Not the format date-time, which demands a zone.
        schema["pattern"] = _LOCAL_TIME
    for size in reversed(spec.shape[1:]):
        schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
    if spec.description:
        schema["description"] = spec.description
    return schema
