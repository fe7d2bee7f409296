#!/bin/sh
# Sentiment and topic of a few headlines in one request, with the ids of the caller.
#   examples/news.sh [URL]
set -eu
url=${1:-http://127.0.0.1:8080}

curl -sS --fail-with-body "$url/v1/classify" --json '{
  "model": "finance",
  "input": [
    {"id": "n1", "text": "Shares of Northfield plunged 12% after it cut its full-year outlook"},
    {"id": "n2", "text": "The bank raised its dividend and beat profit forecasts"},
    {"id": "n3", "text": "The annual meeting will be held on 14 May in Utrecht"}
  ],
  "top_k": 2
}'
echo
# What the answer looked at: see docs/explain.md before you read much into it.
curl -sS --fail-with-body "$url/v1/classify" --json '{
  "model": "finance",
  "input": "The bank raised its dividend and beat profit forecasts",
  "heads": ["sentiment"],
  "explain": "attention"
}'
echo
