#!/usr/bin/env python3
"""How faithful each explanation of a classifier is: the score's move without the three words of most weight, beside
three random ones, over texts of a labelled file. Prints a Markdown table.

    tools/eval/faithfulness.py --attend build/attend --model models/finance --data dev.tsv --head sentiment [--texts 200]
"""
import argparse
import csv
import json
import random
import subprocess

METHODS = ("occlusion", "attention", "rollout")


def texts_of(path, count):
    """`count` texts of at least eight words, drawn with a fixed seed."""
    with open(path, encoding="utf-8", newline="") as f:
        rows = [r["text"] for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)]
    rows = [r for r in rows if len([w for w in r.split() if not w.startswith("http")]) >= 8]
    return random.Random(1).sample(rows, min(count, len(rows)))


def explanations(options, method, texts):
    lines = "".join(json.dumps({"input": t, "heads": [options.head], "explain": method, "faithfulness": True}) + "\n"
                    for t in texts)
    command = [options.attend, "classify", "--model", options.model]
    for base in options.base:
        command += ["--base", base]
    answers = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    return [json.loads(line)["data"][0]["explain"]["faithfulness"] for line in answers.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attend", default="build/attend")
    parser.add_argument("--model", required=True)
    parser.add_argument("--base", action="append", default=[], help="NAME=DIR, as attend takes it")
    parser.add_argument("--data", required=True, help="a .tsv file with a column text")
    parser.add_argument("--head", required=True)
    parser.add_argument("--texts", type=int, default=200)
    options = parser.parse_args()
    texts = texts_of(options.data, options.texts)
    print(f"{len(texts)} texts of {options.data}, head {options.head} of {options.model}\n")
    print("| method | top 3 move the score more than random 3 | mean drop, top 3 | mean move, random 3 | comprehensiveness | "
          "sufficiency | deletion area |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for method in METHODS:
        figures = explanations(options, method, texts)
        n = len(figures)
        more = sum(abs(f["top3_drop"]) > f["random3_move"] for f in figures)

        def mean(name):
            return sum(f[name] for f in figures) / n
        print(f"| {method} | {100 * more / n:.1f} % | {mean('top3_drop'):.3f} | {mean('random3_move'):.3f} | "
              f"{mean('comprehensiveness'):.3f} | {mean('sufficiency'):.3f} | {mean('deletion_area'):.3f} |")


if __name__ == "__main__":
    main()
