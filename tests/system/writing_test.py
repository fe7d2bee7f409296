#!/usr/bin/env python3
"""SmolLM2-135M-Instruct writes answers from a knowledge base; skipped unless scripts/fetch-models smollm2 was run."""
import json
import os
import tempfile

from daemon import SOURCE, Daemon, ask
from tap import Skip, check, run

MODEL = f"{SOURCE}/var/models/smollm2"
SETTINGS = """[model smollm2]
path = {model}
[kb written]
path = {folder}/written.db
model = encoder
generator = smollm2
generated_cover_min = {least}
"""
ENTRIES = [
    {"id": 1, "question": "How long does a repair take?",
     "answer": "A repair takes 10–14 business days from the day the device reaches the repair centre. If it takes longer "
               "than 30 days, you get a replacement."},
    {"id": 2, "question": "How long is the warranty?",
     "answer": "Electronics have a 24-month warranty and all other goods 12 months, counted from delivery. Wear, batteries "
               "and damage from drops or water are not covered."}]


class Writer:
    """A daemon whose knowledge base has one entry."""

    def __init__(self, entry, least):
        if not os.path.isdir(MODEL):
            raise Skip("no var/models/smollm2")
        self.folder = tempfile.TemporaryDirectory()
        self.daemon = Daemon(SETTINGS.format(model=MODEL, folder=self.folder.name, least=least))
        self.post("PUT", "/v1/kb/written", {"entries": [entry]})

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.daemon.__exit__(kind)
        self.folder.cleanup()

    def post(self, method, path, body):
        status, _, said = ask(self.daemon.address, method, path, json.dumps(body), timeout=100)
        check(status == 200, said)
        return json.loads(said)

    def reply(self, question):
        return self.post("POST", "/v1/reply", {"question": question, "kb": "written", "generate": True, "threshold": 0.01,
                                               "margin": 0, "deadline_ms": 100000})


def test_writes_what_the_entry_says():
    with Writer(ENTRIES[0], 0.6) as writer:
        answer = writer.reply("How many days does the repair take?")
        check((answer["generated"] or "").startswith("The repair takes 10"), answer)
        check(answer["generate"]["covered"] >= 0.6 and "withheld" not in answer["generate"], answer)


def test_a_number_that_the_model_makes_up_is_withheld():
    with Writer(ENTRIES[1], 0) as writer:
        answer = writer.reply("How many months of guarantee do I get?")
        check(answer["generated"] is None and "which neither the entries nor the question say" in answer["generate"]["why"],
              answer)
        check("months" in answer["generate"]["withheld"], answer)


def test_a_text_without_an_end_is_withheld():
    with Writer(ENTRIES[1], 0) as writer:
        answer = writer.reply("Write a long story about it.")
        check(answer["generated"] is None and answer["generate"]["finish_reason"] == "length", answer)
        check(answer["generate"]["why"] == "it has no end within 128 tokens", answer)


run(test_writes_what_the_entry_says, test_a_number_that_the_model_makes_up_is_withheld,
    test_a_text_without_an_end_is_withheld)
