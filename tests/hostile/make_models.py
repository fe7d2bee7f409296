#!/usr/bin/env python3
"""Malformed models, and valid ones that look odd, as changes to the models of base_models.py.

  make_models.py OUT [PATTERN]      writes those whose name matches as folders, to look at

Nothing is random but by a seed: a name always means the same bytes.
"""
import os
import re
import sys

import config_cases
import file_cases
import tokenizer_cases
import valid_cases


def all_cases():
    cases, names = [], set()
    for part in (config_cases, file_cases, tokenizer_cases, valid_cases):
        for case in part.cases():
            if case.name in names:
                raise SystemExit(f"two cases are named {case.name}")
            names.add(case.name)
            cases.append(case)
    return cases


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    chosen = [c for c in all_cases() if re.search(sys.argv[2] if len(sys.argv) > 2 else "", c.name)]
    for case in chosen:
        folder = os.path.join(sys.argv[1], case.name)
        os.makedirs(folder)
        case.write(folder)
    print(len(chosen), "written")


if __name__ == "__main__":
    main()
