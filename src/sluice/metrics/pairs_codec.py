"""Pairs of answers as JSON, from agents to the controller. Strict, like every parser here."""

import base64
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic import ValidationError as PydanticError

from sluice.errors import Fault, SpecError
from sluice.nouns import Answer, Pair, PairBatch, RevisionId

MAX_BYTES = 64 << 20
"""Largest page that is read, bytes."""

_Count = Annotated[int, Field(strict=True, ge=0, le=2**53)]
_Text = Annotated[str, Field(strict=True, max_length=500)]
_Name = Annotated[str, Field(strict=True, min_length=1, max_length=300)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Answer(_Wire):
    status: Annotated[int, Field(strict=True, ge=100, le=999)]
    duration_us: _Count
    media_type: _Text = ""
    encoding: _Text = ""
    json_bytes: _Count | None = None
    body: Annotated[str, Field(strict=True)] = ""
    cut: Annotated[bool, Field(strict=True)] = False

    def noun(self) -> Answer:
        fields = self.model_dump()
        fields["body"] = base64.b64decode(self.body, validate=True)
        return Answer(**fields)


class _Pair(_Wire):
    request_id: _Name
    stable: _Name
    candidate: _Name
    primary: _Answer
    shadow: _Answer
    again: _Answer | None = None

    def noun(self) -> Pair:
        return Pair(
            request_id=self.request_id,
            stable=RevisionId(self.stable),
            candidate=RevisionId(self.candidate),
            primary=self.primary.noun(),
            shadow=self.shadow.noun(),
            again=self.again.noun() if self.again else None,
        )


class _Batch(_Wire):
    router: _Name
    cursor: _Name
    pairs: tuple[_Pair, ...]
    missed: _Count = 0
    alone: _Count = 0
    more: Annotated[bool, Field(strict=True)] = False


_BATCH = TypeAdapter(_Batch)


def encode_pairs(router: str, batch: PairBatch) -> bytes:
    """One router's pairs as JSON; bodies are base64."""
    return orjson.dumps(
        {
            "router": router,
            "cursor": batch.cursors[router],
            "pairs": [_pair(pair) for pair in batch.pairs],
            "missed": batch.missed,
            "alone": batch.alone,
            "more": batch.more,
        }
    )


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "request_id": pair.request_id,
        "stable": pair.stable,
        "candidate": pair.candidate,
        "primary": _answer(pair.primary),
        "shadow": _answer(pair.shadow),
        "again": _answer(pair.again) if pair.again else None,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "status": answer.status,
        "duration_us": answer.duration_us,
        "media_type": answer.media_type,
        "encoding": answer.encoding,
        "json_bytes": answer.json_bytes,
        "body": base64.b64encode(answer.body).decode(),
        "cut": answer.cut,
    }


def decode_pairs(data: bytes) -> PairBatch:
    """The pairs in ``data``.

    Raises:
        SpecError: they cannot be used; lists every fault.
    """
    if len(data) > MAX_BYTES:
        raise SpecError([Fault(path="(document)", reason=f"is larger than {MAX_BYTES} bytes")])
    try:
        wire = _BATCH.validate_json(data)
        pairs = tuple(pair.noun() for pair in wire.pairs)
    except PydanticError as error:
        raise SpecError(
            [
                Fault(path=".".join(map(str, item["loc"])) or "(document)", reason=item["msg"])
                for item in error.errors(
                    include_url=False, include_context=False, include_input=False
                )
            ]
        ) from error
    except ValueError as error:
        raise SpecError([Fault(path="pairs", reason=f"a body is not base64: {error}")]) from error
    return PairBatch(
        pairs=pairs,
        cursors={wire.router: wire.cursor},
        missed=wire.missed,
        alone=wire.alone,
        more=wire.more,
    )
