#!/usr/bin/env python3
"""How faithful occlusion is for recommendations: the move of an item's score without the three events of most weight,
beside three random ones, over histories of a log. Prints a Markdown table, with the weights of attention beside it.

    tools/eval/faithfulness_recommend.py --attend build/attend --model var/models/movies --log ml-100k.inter [--users 200]

The log has a header and, in its first four columns with tabs between, user, item, stars and time; a history is a user's
newest --events but the last.
"""
import argparse
import json
import random
import subprocess


def histories_of(path, users, events):
    logs = {}
    with open(path, encoding="utf-8") as f:
        next(f)
        for line in f:
            user, item, stars, time = line.rstrip("\n").split("\t")[:4]
            logs.setdefault(user, []).append((float(time), item, float(stars)))
    long = sorted(user for user, log in logs.items() if len(log) > events)
    chosen = random.Random(1).sample(long, min(users, len(long)))
    return [[{"item": item, "type": "rate", "value": stars, "time": time}
             for time, item, stars in sorted(logs[user])[-events - 1:-1]] for user in chosen]


def ask(options, requests):
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    command = [options.attend, "recommend", "--model", options.model]
    answers = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in answers.splitlines()]


def share(answer, item):
    return next(i["score"] for i in answer["items"] if i["id"] == item)


def attention_moves(options, histories, answers):
    """Move of the first item's score without the three events of most attention, asked for as requests of their own."""
    requests, bases = [], []
    for history, answer in zip(histories, answers):
        weights = {w["event"]: w["weight"] for w in answer["weights"]}
        gone = sorted(weights, key=lambda e: (-weights[e], e))[:3]
        rest = [e for i, e in enumerate(history) if i not in gone]
        seen = [history[i]["item"] for i in gone]  # may be answered neither way
        requests.append({"history": rest, "exclude": seen, "top_k": 1682})
        bases.append((answer["items"][0]["id"], answer["items"][0]["score"]))
    return [base - share(answer, item) for (item, base), answer in zip(bases, ask(options, requests))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attend", default="build/attend")
    parser.add_argument("--model", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--events", type=int, default=20)
    options = parser.parse_args()
    histories = histories_of(options.log, options.users, options.events)
    answers = ask(options, [{"history": h, "explain": "occlusion"} for h in histories])
    first = [a["items"][0]["explain"]["faithfulness"] for a in answers]
    every = [i["explain"]["faithfulness"] for a in answers for i in a["items"]]
    print(f"{len(histories)} histories of {options.events} events, {options.model}\n")
    print("| items | top 3 move the score more than random 3 | mean drop, top 3 | mean move, random 3 | comprehensiveness | "
          "sufficiency | deletion area |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, figures in (("first", first), ("first ten", every)):
        n = len(figures)
        more = sum(abs(f["top3_drop"]) > f["random3_move"] for f in figures)
        means = [sum(f[m] for f in figures) / n for m in
                 ("top3_drop", "random3_move", "comprehensiveness", "sufficiency", "deletion_area")]
        print(f"| {name} | {100 * more / n:.1f} % | " + " | ".join(f"{m:.4f}" for m in means) + " |")
    moves = attention_moves(options, histories, answers)
    more = sum(abs(m) > f["random3_move"] for m, f in zip(moves, first))
    print(f"| first, by attention | {100 * more / len(moves):.1f} % | {sum(moves) / len(moves):.4f} | "
          f"{sum(f['random3_move'] for f in first) / len(first):.4f} | | | |")


if __name__ == "__main__":
    main()
