#!/usr/bin/env python3
"""What many run today: FastAPI with ONNX Runtime behind it, one text a request, no batching. For bench/http.

    baseline.py MODEL_DIR PORT        POST /v1/embeddings {"input": TEXT}
"""
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
import tokenizers
import uvicorn
from fastapi import FastAPI, Request

import graphs


def main():
    directory, port = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "encoder.onnx")
        onnx.save(graphs.build_fused(directory), path)
        options = ort.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
    tokenizer.no_padding()
    app = FastAPI()

    @app.post("/v1/embeddings")
    async def embeddings(request: Request):
        text = (await request.json())["input"]
        ids = np.array([tokenizer.encode(text).ids], np.int32)
        feed = {"input_ids": ids, "segment_ids": np.zeros_like(ids), "lengths": np.array([ids.shape[1]], np.int32),
                "weights": np.full((1, ids.shape[1], 1), 1 / ids.shape[1], np.float32)}
        vector = session.run(None, feed)[0][0]
        return {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": vector.tolist()}]}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main()
