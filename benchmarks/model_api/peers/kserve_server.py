"""The benchmark's model in KServe's Python server: ``python kserve_server.py MODEL PORT``."""

import sys

import onnxruntime as ort
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class OrtModel(Model):
    """ONNX Runtime on one thread, as in every other server of the comparison."""

    def __init__(self, path: str) -> None:
        super().__init__("bench")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.ready = True

    async def predict(
        self, payload: InferRequest, headers: object = None, response_headers: object = None
    ) -> InferResponse:
        (y,) = self._session.run(["y"], {"x": payload.inputs[0].as_numpy()})
        output = InferOutput("y", list(y.shape), "FP32")
        output.set_data_from_numpy(y, binary_data=False)
        return InferResponse(payload.id, "bench", [output])


if __name__ == "__main__":
    path, port = sys.argv[1], int(sys.argv[2])
    sys.argv = sys.argv[:1]
    ModelServer(http_port=port, enable_grpc=False, workers=1, access_log_format=None).start(
        [OrtModel(path)]
    )
