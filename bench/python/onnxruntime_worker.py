"""Inference and matrix products in ONNX Runtime, which does not train."""

from argparse import Namespace

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from worker import DATA, Steps, Unsupported, factor, initial, load, main, mean_size, sizes


def session(args: Namespace, nodes: list, inputs: list, outputs: list, constants: list) -> onnxruntime.InferenceSession:
    graph = helper.make_graph(nodes, "job", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def gemm(args: Namespace) -> Steps:
    dtype, m, n, k = sizes(args.case)
    types = {"f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE, "i8": TensorProto.INT8}
    if dtype not in types:
        raise Unsupported(f"no product of {dtype} on the CPU")
    operator = "MatMulInteger" if dtype == "i8" else "MatMul"
    result = TensorProto.INT32 if dtype == "i8" else types[dtype]
    infer = session(
        args,
        [helper.make_node(operator, ["a", "b"], ["c"])],
        [helper.make_tensor_value_info(*v) for v in (("a", types[dtype], [m, k]), ("b", types[dtype], [k, n]))],
        [helper.make_tensor_value_info("c", result, [m, n])],
        [],
    )
    feed = {"a": factor(dtype, m, k), "b": factor(dtype, k, n)}

    def steps(count: int) -> float:
        for _ in range(count):
            (c,) = infer.run(None, feed)
        return mean_size(np.diagonal(c))

    return steps


def serve(args: Namespace) -> Steps:
    batch = int(args.case.removeprefix("batch-"))
    infer = session(
        args,
        [
            helper.make_node("Gemm", ["x", "hidden.weight", "hidden.bias"], ["z"]),
            helper.make_node("Relu", ["z"], ["hidden"]),
            helper.make_node("Gemm", ["hidden", "out.weight", "out.bias"], ["logits"]),
        ],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 784])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 10])],
        [numpy_helper.from_array(value, name) for name, value in initial("small-net").items()],
    )
    feed = {"x": load("serve/x")[:batch]}

    def steps(count: int) -> float:
        for _ in range(count):
            (logits,) = infer.run(None, feed)
        return mean_size(logits)

    return steps


def integers(args: Namespace) -> Steps:
    """The network that Iron Learn's worker has exported, with floats at both ends."""
    dtype, batch = args.case.split("-batch-")
    path = DATA / "serve" / "integers.onnx"
    if dtype != "i8" or not path.exists():
        raise Unsupported("only what Iron Learn has exported")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    infer = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    feed = {"input": load("serve/x")[: int(batch)]}

    def steps(count: int) -> float:
        for _ in range(count):
            (logits,) = infer.run(None, feed)
        return mean_size(logits)

    return steps


def build(args: Namespace) -> Steps:
    jobs = {"gemm": gemm, "serve": serve, "integers": integers}
    if args.job not in jobs:
        raise Unsupported("does not train")
    return jobs[args.job](args)


if __name__ == "__main__":
    main(onnxruntime.__version__, build)
