"""OpenAI's client: embeddings, models, errors."""
from clients import SOURCE, check, serve

import openai


def client(url):
    return openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)


def test_embeddings(url):
    # The client asks for base64, and decodes it.
    both = client(url).embeddings.create(model="encoder", input=["refund policy", "store hours"])
    check([item.index for item in both.data] == [0, 1], both)
    check(len(both.data[0].embedding) == 32 and both.object == "list" and both.model == "encoder", both)
    check(both.usage.prompt_tokens > 0 and both.usage.total_tokens == both.usage.prompt_tokens, both.usage)
    plain = client(url).embeddings.create(model="encoder", input="refund policy", encoding_format="float")
    check(max(abs(a - b) for a, b in zip(plain.data[0].embedding, both.data[0].embedding)) < 1e-6, "base64 differs")
    short = client(url).embeddings.create(model="encoder", input="refund policy", dimensions=4)
    check(len(short.data[0].embedding) == 4, short)
    ids = client(url).embeddings.create(model="encoder", input=[[5, 6, 7], [8]])
    check(len(ids.data) == 2, ids)


def test_models(url):
    names = [model.id for model in client(url).models.list()]
    check(set(names) >= {"sentiment", "encoder", "movies"}, names)
    card = client(url).models.retrieve("encoder")
    check(card.object == "model" and card.owned_by == "attentd" and card.created > 0, card)


CHAT = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "temperature": 0}


def test_chat(url):
    whole = client(url).chat.completions.create(**CHAT)
    check(whole.object == "chat.completion" and whole.choices[0].message.role == "assistant", whole)
    check(whole.choices[0].finish_reason in ("stop", "length"), whole)
    check(0 < whole.usage.completion_tokens <= 8 and whole.usage.total_tokens > whole.usage.completion_tokens, whole)
    pieces, reason, usage = [], None, None
    for chunk in client(url).chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}):
        check(chunk.object == "chat.completion.chunk", chunk)
        for choice in chunk.choices:
            pieces.append(choice.delta.content or "")
            reason = choice.finish_reason or reason
        usage = chunk.usage or usage
    check("".join(pieces) == whole.choices[0].message.content and reason == whole.choices[0].finish_reason, pieces)
    check(usage == whole.usage, usage)


def test_completions(url):
    whole = client(url).completions.create(model="chat", prompt="Hello", max_tokens=8, temperature=0)
    check(whole.object == "text_completion" and whole.choices[0].finish_reason in ("stop", "length"), whole)
    chunks = client(url).completions.create(model="chat", prompt="Hello", max_tokens=8, temperature=0, stream=True)
    check("".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text, whole)


def test_errors(url):
    for kind, code, call in (
            (openai.NotFoundError, "not_found", lambda: client(url).embeddings.create(model="none", input="a")),
            (openai.NotFoundError, "not_found", lambda: client(url).models.retrieve("none")),
            (openai.UnprocessableEntityError, "invalid_value",
             lambda: client(url).embeddings.create(model="encoder", input=[]))):
        try:
            call()
        except kind as error:
            check(error.code == code and error.body["message"], error.body)
        else:
            raise AssertionError(f"no {kind.__name__}")


serve(test_embeddings, test_models, test_chat, test_completions, test_errors,
      settings=f"[model chat]\npath = {SOURCE}/tests/data/models/tiny-chat\n")
