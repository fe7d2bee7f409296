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

ask '{"question": "do I have to pay to send something back", "top": 1}'
ask '{
  "question": "and how long does that take?",
  "context": [
    {"role": "user", "content": "How do I return an item?"},
    {"role": "assistant", "content": "Choose \"Return\" under \"My orders\", print the label and send the parcel."}
  ],
  "top": 1
}'
ask '{"question": "多久能送到我家？", "top": 1}'
ask '{"question": "who won the cup final in 1974", "top": 1}'
