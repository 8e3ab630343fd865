"""Our own handlers behind FastAPI's stack, to see what that costs (decision 0050).

Run by the benchmark with the environment of ``model-api serve``.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import uvicorn
from fastapi import FastAPI, Request, Response

from sluice_model_api.http.exchange import Request as OwnRequest
from sluice_model_api.parts import Parts
from sluice_model_api.settings import load_settings

parts = Parts(*load_settings())
parts.load()
app = FastAPI()


@app.get("/v2/health/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/v2/models/{name}/infer")
async def infer(name: str, request: Request) -> Response:
    own = OwnRequest(request.scope, request.receive)
    reply = await parts.protocol.infer(own, name, "")
    headers = {key.decode(): value.decode() for key, value in reply.headers}
    parts.metrics.observe((name, "1", "infer", reply.status), 0.0)
    return Response(reply.body, reply.status, headers)


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=parts.settings.port, loop="uvloop", http="httptools",
        access_log=False, log_level="warning", ws="none",
    )  # fmt: skip
