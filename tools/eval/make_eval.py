#!/usr/bin/env python3
"""Convert the public data sets into the files that `attend eval` reads. Standard library only.

    python make_eval.py --data DATA_DIR --out eval/
    attend eval --model models/finance --task classify --data eval/finance-sentiment.dev.jsonl

classify files: {"text": …, "labels": {HEAD: LABEL}}; retrieve files: documents {"id", "document", "label"} and questions
{"query", "label"}, where a document with the question's label is a hit. Sets that DATA_DIR does not hold are skipped.
"""
import argparse
import json
import os
import re

SENTIMENT = {"bearish": "negative", "bullish": "positive", "neutral": "neutral"}


def snake(label):
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


# output name: (folder, head, spelling of a label in the model)
CLASSIFY = {
    "finance-sentiment": ("twitter-fin-sentiment", "sentiment", SENTIMENT.get),
    "finance-topic": ("twitter-fin-topic", "topic", snake),
    "clinc150": ("clinc150", "intent", lambda label: "out_of_scope" if label == "oos" else label),
    "banking77": ("banking77", "banking", lambda label: label),
}


def tsv(path):
    with open(path, encoding="utf-8") as f:
        next(f)
        return [line.rstrip("\n").split("\t", 1) for line in f]


def jsonl(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--data", required=True, help="folder with one folder a data set")
    a.add_argument("--out", required=True)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)

    def here(*parts):
        return os.path.join(a.data, *parts)

    def write(name, lines):
        with open(os.path.join(a.out, name), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        print(f"{name}: {len(lines)} lines")

    for name, (folder, head, spell) in CLASSIFY.items():
        for split in ("train", "dev"):
            if os.path.exists(here(folder, split + ".tsv")):
                write(f"{name}.{split}.jsonl", [{"text": text, "labels": {head: spell(label)}}
                                                for label, text in tsv(here(folder, split + ".tsv"))])

    if os.path.isdir(here("banking77")):
        write("banking77.retrieve.jsonl",
              [{"id": str(i), "document": text, "label": label}
               for i, (label, text) in enumerate(tsv(here("banking77", "train.tsv")))]
              + [{"query": text, "label": label} for label, text in tsv(here("banking77", "dev.tsv"))])
    if os.path.isdir(here("bitext-support")):
        for split in ("train", "dev"):
            write(f"bitext-support.{split}.jsonl", [{"text": r["question"], "labels": {"support": r["intent"]}}
                                                    for r in jsonl(here("bitext-support", split + ".jsonl"))])
        write("bitext-support.retrieve.jsonl",
              [{"id": d["id"], "document": d["question"] + "\n" + d["answer"], "label": d["intent"]}
               for d in jsonl(here("bitext-support", "kb.jsonl"))]
              + [{"query": r["question"], "label": r["intent"]} for r in jsonl(here("bitext-support", "dev.jsonl"))])


if __name__ == "__main__":
    main()
