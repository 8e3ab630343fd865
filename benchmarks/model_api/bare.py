"""The limit: V2 inference in Starlette and ONNX Runtime with nothing around it.

No validation, no metrics, no log, no limits: what a request costs when nothing is looked after.
Run by the benchmark as ``python bare.py MODEL.onnx PORT``.
"""

import os
import sys

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import onnxruntime as ort
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
NAMES = [output.name for output in session.get_outputs()]
DTYPES = {"FP32": np.float32}


async def ready(_request: Request) -> Response:
    return Response(b'{"ready":true}', media_type="application/json")


async def infer(request: Request) -> Response:
    document = orjson.loads(await request.body())
    feed = {
        tensor["name"]: np.array(tensor["data"], DTYPES[tensor["datatype"]]).reshape(
            tensor["shape"]
        )
        for tensor in document["inputs"]
    }
    answer = {
        "model_name": "bench",
        "model_version": "1",
        "id": document.get("id"),
        "outputs": [
            {"name": name, "shape": array.shape, "datatype": "FP32", "data": array.ravel()}
            for name, array in zip(NAMES, session.run(NAMES, feed), strict=True)
        ],
    }
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


app = Starlette(
    routes=[
        Route("/v2/health/ready", ready),
        Route("/v2/models/bench/infer", infer, methods=["POST"]),
    ]
)

if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[2]), loop="uvloop", http="httptools",
        access_log=False, log_level="warning", lifespan="off", ws="none",
    )  # fmt: skip
