"""From an ONNX model to an integer program. Not imported in an enclave: it needs onnx and scipy."""
