"""Asks a server by tritonclient: tritonclient-check.py KIND "serving NAME at http://ADDRESS" FOLDER.

KIND is `table`, a model of data/iris.csv with an input for each column, or `rows`, one that takes rows of numbers. FOLDER holds
the answers of `ironlearn predict` to the same rows, KIND.json.
"""

import csv
import json
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype


def table_inputs():
    """Arrays by the names of the columns, each of one axis for the rows and one of length 1."""
    with open("data/iris.csv") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "species"}
    arrays = {name: np.array(cells, dtype=np.float64)[:, None] for name, cells in columns.items()}
    arrays["petal_width"] = np.array(columns["petal_width"], dtype=object)[:, None]
    return arrays


def rows_inputs(metadata, folder):
    rows = np.loadtxt(folder / "x.csv", delimiter=",")
    return {metadata["inputs"][0]["name"]: rows.astype(np.float32)}


def expected_of(kind, folder):
    """The names of the classes where there are any, and the numbers."""
    answers = json.loads((folder / f"{kind}.json").read_text())["predictions"]
    if kind == "rows":
        return None, np.array(answers)
    words = [answer["prediction"] for answer in answers]
    return words, np.array([list(answer["probabilities"].values()) for answer in answers])


def asked(client, name, arrays, binary_in, binary_out, outputs, id=""):
    inputs = []
    for input_name, array in arrays.items():
        tensor = http.InferInput(input_name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array, binary_data=binary_in)
        inputs.append(tensor)
    if outputs is not None:
        outputs = [http.InferRequestedOutput(output, binary_data=binary_out) for output in outputs]
    return client.infer(name, inputs, outputs=outputs, request_id=id)


def refused(what, ask, part):
    try:
        ask()
    except InferenceServerException as error:
        assert part in error.message(), f"{what}: {error}"
        return f"{what} ({error.status()})"
    raise AssertionError(f"{what} is not refused")


def main():
    kind, line, folder = sys.argv[1], sys.argv[2].split(), Path(sys.argv[3])
    name, address = line[1], line[3].removeprefix("http://")
    client = http.InferenceServerClient(url=address, concurrency=4)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(name)
    assert client.is_model_ready(name, "1") and not client.is_model_ready("nobody")
    server = client.get_server_metadata()
    assert server["name"] == "ironlearn" and "binary_tensor_data" in server["extensions"], server
    metadata = client.get_model_metadata(name)
    assert metadata["name"] == name and metadata["versions"] == ["1"], metadata

    arrays = table_inputs() if kind == "table" else rows_inputs(metadata, folder)
    described = {tensor["name"]: tensor for tensor in metadata["inputs"]}
    assert set(described) == set(arrays), metadata
    for input_name, array in arrays.items():
        assert described[input_name]["shape"] == [-1, *array.shape[1:]], metadata
        assert described[input_name]["datatype"] == np_to_triton_dtype(array.dtype), metadata
    words, numbers = expected_of(kind, folder)
    outputs = [tensor["name"] for tensor in metadata["outputs"]]

    ways = 0
    for binary_in in (True, False):
        for binary_out, wanted in ((True, None), (True, outputs), (False, outputs)):
            result = asked(client, name, arrays, binary_in, binary_out, wanted, id="7")
            assert result.get_response()["id"] == "7"
            found = result.as_numpy(outputs[-1])
            # To the bit: numbers are those of `predict`, which writes all digits.
            assert found.dtype == np.float64 and np.array_equal(found, numbers), (binary_in, binary_out)
            if words is not None:
                found = [w.decode() if isinstance(w, bytes) else w for w in result.as_numpy(outputs[0]).reshape(-1)]
                assert found == words, (binary_in, binary_out)
            ways += 1

    # Rows one by one from several threads, which come together in batches.
    odd = []

    def one_by_one(first):
        own = http.InferenceServerClient(url=address)
        for row in range(first, len(numbers), 4):
            part = {n: array[row : row + 1] for n, array in arrays.items()}
            found = asked(own, name, part, True, True, None).as_numpy(outputs[-1])
            if not np.array_equal(found[0], numbers[row]):
                odd.append(row)

    threads = [threading.Thread(target=one_by_one, args=(i,)) for i in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not odd, f"rows {odd} are answered otherwise when alone"

    first = next(iter(arrays))
    few = {n: array for n, array in arrays.items() if n != first}
    tensor = http.InferInput(first, list(arrays[first].shape), np_to_triton_dtype(arrays[first].dtype))
    tensor.set_data_from_numpy(arrays[first])
    mistakes = [
        refused("another model", lambda: client.get_model_metadata("nobody"), "there is no model"),
        refused("an input less", lambda: asked(client, name, few, True, True, None), "is missing"),
        refused("another output", lambda: asked(client, name, arrays, True, True, ["logits"]), "no output"),
        refused("another shape", lambda: asked(client, name, {**few, first: arrays[first].reshape(1, -1)}, True, True, None), "shape"),
        refused("gzip", lambda: client.infer(name, [tensor], request_compression_algorithm="gzip"), "encoding"),
    ]
    print(
        f"tritonclient {version('tritonclient')}, {kind}: health and metadata as they should be; {len(numbers)} rows in {ways} ways and one by one from 4 threads"
        f" as `ironlearn predict` answers them, to the bit; refused: {', '.join(mistakes)}"
    )


main()
