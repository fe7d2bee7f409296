#!/bin/sh
# What next: from a history, from an interest in words, for somebody new, and among given candidates.
#   examples/movies.sh [URL]
set -eu
url=${1:-http://127.0.0.1:8080}

recommend() {
    curl -sS --fail-with-body "$url/v1/recommend" --json "$1"
    echo
}

# Star Wars, The Empire Strikes Back, Raiders of the Lost Ark; the reasons say which of them a film rests on.
recommend '{"history": [{"item": "50"}, {"item": "172"}, {"item": "174"}], "top_k": 5, "explain": true}'
recommend '{"history": [{"item": "50"}], "interest": "a quiet romantic comedy", "top_k": 5}'
recommend '{"history": [], "top_k": 5}'
# An item that the model has never seen is named in "unknown" and ranked by its text.
recommend '{"history": [{"item": "1"}], "candidates": ["95", "56", {"id": "new", "text": "An animated family film about toys"}]}'
