"""NVIDIA's Triton client, which speaks KServe V2."""
from clients import check, serve

import numpy
from tritonclient import http
from tritonclient.utils import InferenceServerException


def client(url):
    return http.InferenceServerClient(url.removeprefix("http://"))


def texts(name, values, binary=False):
    tensor = http.InferInput(name, [len(values)], "BYTES")
    tensor.set_data_from_numpy(numpy.array([value.encode() for value in values], dtype=object), binary_data=binary)
    return tensor


def test_health_and_metadata(url):
    check(client(url).is_server_live() and client(url).is_server_ready(), "not ready")
    check(client(url).is_model_ready("encoder") and client(url).is_model_ready("encoder", "1"), "no model")
    check(not client(url).is_model_ready("none"), "a model that is not there")
    check(client(url).get_server_metadata()["name"] == "attentd", "name")
    card = client(url).get_model_metadata("sentiment")
    check([tensor["name"] for tensor in card["outputs"]] == ["label", "probabilities", "logits"], card)


def test_embeddings(url):
    answer = client(url).infer("encoder", [texts("text", ["refund", "store hours"])])
    vectors = answer.as_numpy("embedding")
    check(vectors.shape == (2, 32) and vectors.dtype == numpy.float32, vectors.shape)
    # What the client does unless it is told otherwise.
    binary = client(url).infer("encoder", [texts("text", ["refund", "store hours"], binary=True)])
    check(numpy.array_equal(binary.as_numpy("embedding"), vectors), "binary tensors differ")
    check(numpy.allclose((vectors ** 2).sum(axis=1), 1, atol=1e-5), "not of length 1")


def test_classification(url):
    wanted = [http.InferRequestedOutput(name, binary_data=False) for name in ("label", "probabilities")]
    answer = client(url).infer("sentiment", [texts("text", ["good day"]), texts("text_pair", ["again"])], outputs=wanted)
    check(answer.as_numpy("label").shape == (1,), answer.get_response())
    check(abs(float(answer.as_numpy("probabilities").sum()) - 1) < 1e-5, answer.get_response())
    check(answer.as_numpy("logits") is None, "more than was asked for")


def test_errors(url):
    # The client hands the error on as it is: an object here, where KServe has a sentence alone.
    for model, name, status in (("encoder", "text_pair", "422"), ("none", "text", "404")):
        try:
            client(url).infer(model, [texts(name, ["refund"])])
        except InferenceServerException as error:
            check(error.status() == status and error.message()["message"], error.message())
        else:
            raise AssertionError(f"{model} answered")


serve(test_health_and_metadata, test_embeddings, test_classification, test_errors)
