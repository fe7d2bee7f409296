"""Hugging Face's client against the paths of text-embeddings-inference."""
import json

from clients import check, serve

import huggingface_hub
from huggingface_hub import InferenceClient


def test_feature_extraction(url):
    client = InferenceClient(model=url + "/embed")
    one = client.feature_extraction("refund policy")
    check(one.shape == (1, 32), one.shape)
    check(abs(float((one ** 2).sum()) - 1) < 1e-5, "not of length 1")
    raw = client.feature_extraction("refund policy", normalize=False)
    check(abs(float((raw ** 2).sum()) - 1) > 1e-3, "of length 1")
    cut = client.feature_extraction("refund " * 200, truncate=True, truncation_direction="left")
    check(cut.shape == (1, 32), cut.shape)


def test_sentence_similarity(url):
    scores = InferenceClient(model=url + "/similarity").sentence_similarity("refund", ["store hours", "refund"])
    check(len(scores) == 2 and abs(scores[1] - 1) < 1e-5 and scores[0] < scores[1], scores)


def test_text_classification(url):
    best = InferenceClient(model=url + "/predict").text_classification([["good day"]])
    check(0 < best[0].score <= 1 and best[0].label, best)
    check(sum(label.score for label in best) - 1 < 1e-4, best)


def test_errors(url):
    try:
        InferenceClient(model=url + "/embed").feature_extraction("refund " * 200)
    except huggingface_hub.errors.HfHubHTTPError as error:
        body = json.loads(error.response.text)
        check(error.response.status_code == 413 and body["error_type"] == "Validation", body)
    else:
        raise AssertionError("a text that is too long was answered")


serve(test_feature_extraction, test_sentence_similarity, test_text_classification, test_errors)
