#!/usr/bin/env python3
"""Write the leave-one-out test set of MovieLens 100K for `attend eval --task recommend`. Standard library only.

    python movies_eval.py --wheel recbole-1.2.1-py3-none-any.whl --out eval.jsonl

One line a user: everything but the last item is the history, the last item is the target. With --valid the last item is
left out and the last but one is the target. --stars gives each event its rating, --times its time.
"""
import argparse
import json

from movies_items import ratings


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--wheel", required=True, help="recbole-1.2.1-py3-none-any.whl")
    a.add_argument("--out", required=True)
    a.add_argument("--valid", action="store_true", help="the validation target instead of the test target")
    a.add_argument("--stars", action="store_true", help="ratings as values of the events")
    a.add_argument("--times", action="store_true", help="times of the events")
    a = a.parse_args()
    with open(a.out, "w", encoding="utf-8") as f:
        for events in ratings(a.wheel).values():
            events = events[:-1] if a.valid else events
            history = []
            for time, item, stars in events[:-1]:
                event = {"item": str(item)}
                if a.stars:
                    event.update(type="rate", value=stars)
                if a.times:
                    event.update(time=time)
                history.append(event)
            f.write(json.dumps({"history": history, "target": str(events[-1][1])}) + "\n")


if __name__ == "__main__":
    main()
