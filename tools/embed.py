#!/usr/bin/env python3
"""Merges JSON files, whose members of the first level are objects, into one, and writes it as a C array.

    tools/embed.py OUT.c HEADER NAME FILE.json...        const char NAME[], const size_t NAME_len, declared by HEADER
"""
import json
import sys


def unique(pairs):
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key stands twice: " + ", ".join(k for k, _ in pairs))
    return members


def c_array(name, data):
    rows = [", ".join(map(str, data[i:i + 24])) for i in range(0, len(data), 24)]
    return (f"const unsigned char {name}[] = {{\n    " + ",\n    ".join(rows)
            + f"}};\nconst size_t {name}_len = sizeof {name};\n")


def main(out, header, name, *paths):
    merged = {}
    for path in paths:
        with open(path, encoding="utf-8") as f:
            try:
                parts = json.load(f, object_pairs_hook=unique)
            except ValueError as problem:
                sys.exit(f"{path}: {problem}")
        for part, members in parts.items():
            for key, value in members.items():
                if key in merged.setdefault(part, {}):
                    sys.exit(f"{path}: {part}: {key} stands in another file already")
                merged[part][key] = value
    data = json.dumps(merged, ensure_ascii=False, separators=(",", ":")).encode()
    with open(out, "w", encoding="utf-8") as f:
        f.write(f'/* Made by tools/embed.py. */\n#include "{header}"\n\n{c_array(name, data)}')


if __name__ == "__main__":
    main(*sys.argv[1:])
