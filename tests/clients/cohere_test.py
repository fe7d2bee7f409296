"""Cohere's clients of both versions: rerank."""
from clients import check, serve

import cohere

DOCUMENTS = ["store hours", "refund policy", "refund"]


def test_version_1(url):
    answer = cohere.Client(api_key="none", base_url=url).rerank(
        model="encoder", query="refund", documents=DOCUMENTS, top_n=2, return_documents=True)
    check(len(answer.results) == 2 and answer.results[0].index == 2, answer)
    check(answer.results[0].document.text == "refund", answer)
    check(answer.results[0].relevance_score >= answer.results[1].relevance_score, answer)


def test_version_2(url):
    answer = cohere.ClientV2(api_key="none", base_url=url).rerank(model="encoder", query="refund", documents=DOCUMENTS)
    check([result.index for result in answer.results][0] == 2 and len(answer.results) == 3, answer)
    check(answer.meta.billed_units.search_units == 1 and answer.id, answer)


def test_errors(url):
    try:
        cohere.ClientV2(api_key="none", base_url=url).rerank(model="none", query="refund", documents=DOCUMENTS)
    except cohere.core.api_error.ApiError as error:
        check(error.status_code == 404 and error.body["error"]["code"] == "not_found", error.body)
    else:
        raise AssertionError("a model that is not there answered")


serve(test_version_1, test_version_2, test_errors)
