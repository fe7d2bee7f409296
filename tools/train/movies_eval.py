#!/usr/bin/env python3
"""Write the leave-one-out test set of MovieLens 100K for `attend eval --task recommend`. Standard library only.

    python movies_eval.py --wheel recbole-1.2.1-py3-none-any.whl --out eval.jsonl

One line a user: everything but the last item is the history, the last item is the target. With --valid the last item is
left out and the last but one is the target.
"""
import argparse
import json

from movies_items import interactions


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--wheel", required=True, help="recbole-1.2.1-py3-none-any.whl")
    a.add_argument("--out", required=True)
    a.add_argument("--valid", action="store_true", help="the validation target instead of the test target")
    a = a.parse_args()
    with open(a.out, "w", encoding="utf-8") as f:
        for items in interactions(a.wheel).values():
            items = items[:-1] if a.valid else items
            line = {"history": [{"item": str(i)} for i in items[:-1]], "target": str(items[-1])}
            f.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
