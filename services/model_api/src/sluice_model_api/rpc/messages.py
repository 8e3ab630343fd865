"""The messages of ``inference.GRPCInferenceService``, described in code: no generated files.

Source of names and field numbers: the protocol's ``open_inference_grpc.proto`` and Triton's
``grpc_service.proto``, which agree on all that is here.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = tuple[str, str]
_SCALARS: Final = {
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "float": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
}
_NAME_VERSION: Final = (("name", "string"), ("version", "string"))
_TENSOR: Final = (("name", "string"), ("datatype", "string"), ("shape", "*int64"))
_PARAMETERS: Final = ("parameters", "map InferParameter")

MESSAGES: Final[dict[str, tuple[_Field, ...]]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": (("live", "bool"),),
    "ServerReadyRequest": (),
    "ServerReadyResponse": (("ready", "bool"),),
    "ModelReadyRequest": _NAME_VERSION,
    "ModelReadyResponse": (("ready", "bool"),),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": (*_NAME_VERSION, ("extensions", "*string")),
    "ModelMetadataRequest": _NAME_VERSION,
    "ModelMetadataResponse.TensorMetadata": _TENSOR,
    "ModelMetadataResponse": (
        ("name", "string"),
        ("versions", "*string"),
        ("platform", "string"),
        ("inputs", "*ModelMetadataResponse.TensorMetadata"),
        ("outputs", "*ModelMetadataResponse.TensorMetadata"),
    ),
    "InferParameter": (
        ("bool_param", "bool"),
        ("int64_param", "int64"),
        ("string_param", "string"),
        ("double_param", "double"),
        ("uint64_param", "uint64"),
    ),
    "InferTensorContents": (
        ("bool_contents", "*bool"),
        ("int_contents", "*int32"),
        ("int64_contents", "*int64"),
        ("uint_contents", "*uint32"),
        ("uint64_contents", "*uint64"),
        ("fp32_contents", "*float"),
        ("fp64_contents", "*double"),
        ("bytes_contents", "*bytes"),
    ),
    "ModelInferRequest.InferInputTensor": (
        *_TENSOR,
        _PARAMETERS,
        ("contents", "InferTensorContents"),
    ),
    "ModelInferRequest.InferRequestedOutputTensor": (("name", "string"), _PARAMETERS),
    "ModelInferRequest": (
        ("model_name", "string"),
        ("model_version", "string"),
        ("id", "string"),
        _PARAMETERS,
        ("inputs", "*ModelInferRequest.InferInputTensor"),
        ("outputs", "*ModelInferRequest.InferRequestedOutputTensor"),
        ("raw_input_contents", "*bytes"),
    ),
    "ModelInferResponse.InferOutputTensor": (
        *_TENSOR,
        _PARAMETERS,
        ("contents", "InferTensorContents"),
    ),
    "ModelInferResponse": (
        ("model_name", "string"),
        ("model_version", "string"),
        ("id", "string"),
        _PARAMETERS,
        ("outputs", "*ModelInferResponse.InferOutputTensor"),
        ("raw_output_contents", "*bytes"),
    ),
    "RepositoryIndexRequest": (("repository_name", "string"), ("ready", "bool")),
    "RepositoryIndexResponse.ModelIndex": (
        *_NAME_VERSION,
        ("state", "string"),
        ("reason", "string"),
    ),
    "RepositoryIndexResponse": (("models", "*RepositoryIndexResponse.ModelIndex"),),
}
"""Fields in the order of their numbers, from 1; ``*`` is repeated."""


def _file() -> descriptor_pb2.FileDescriptorProto:
    made = descriptor_pb2.FileDescriptorProto(
        name="sluice/inference.proto", package="inference", syntax="proto3"
    )
    holders: dict[str, Any] = {}
    for name, fields in MESSAGES.items():
        outer, _, inner = name.partition(".")
        if inner:
            holder = holders.get(outer) or made.message_type.add(name=outer)
            holders[outer] = holder
            _fill(holder.nested_type.add(name=inner), fields, name)
        else:
            holder = holders.get(outer) or made.message_type.add(name=outer)
            holders[outer] = holder
            _fill(holder, fields, name)
    return made


def _fill(message: Any, fields: tuple[_Field, ...], name: str) -> None:
    for number, (field, kind) in enumerate(fields, start=1):
        made = message.field.add(name=field, number=number)
        made.label = made.LABEL_REPEATED if kind[0] in "*m" else made.LABEL_OPTIONAL
        if kind.startswith("map "):
            entry = message.nested_type.add(name="ParametersEntry")
            entry.options.map_entry = True
            _fill(entry, (("key", "string"), ("value", kind[4:])), name)
            made.type, made.type_name = made.TYPE_MESSAGE, f".inference.{name}.ParametersEntry"
            continue
        plain = kind.lstrip("*")
        if plain in _SCALARS:
            made.type = _SCALARS[plain]
        else:
            made.type, made.type_name = made.TYPE_MESSAGE, f".inference.{plain}"
    if name == "InferParameter":
        message.oneof_decl.add(name="parameter_choice")
        for made in message.field:
            made.oneof_index = 0


def message_classes() -> dict[str, Any]:
    """Message classes by name, in a pool of their own: a client beside us may have its."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"inference.{name}"))
        for name in MESSAGES
    }
