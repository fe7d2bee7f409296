#!/bin/sh
# A dialogue with the knowledge base: a question, a follow-up that makes sense in its dialogue only, Chinese, and a
# question that nobody wrote an answer for.
#   examples/support.sh [URL]
set -eu
url=${1:-http://127.0.0.1:8080}

ask() {
    curl -sS --fail-with-body "$url/v1/reply" --json "$1"
    echo
}

ask '{"question": "can I send the shoes back, they do not fit", "top": 1}'
ask '{
  "question": "and how long does that take?",
  "context": [
    {"role": "user", "content": "I sent my order back, when do I get my money?"},
    {"role": "assistant", "content": "We refund you once the parcel has reached our warehouse."}
  ],
  "top": 1
}'
ask '{"question": "快递什么时候能到？", "top": 1}'
ask '{"question": "who won the cup final in 1974", "top": 1}'
