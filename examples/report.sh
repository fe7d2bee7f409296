#!/bin/sh
# A public-opinion report over news that are posted with the request, in Chinese, as one HTML page.
#   examples/report.sh [URL] > report.html
set -eu
url=${1:-http://127.0.0.1:8080}

curl -sS --fail-with-body "$url/v1/report" --json '{
  "lang": "zh",
  "utc_offset": "+08:00",
  "format": "html",
  "model": "finance",
  "input": [
    {"source": "newswire", "url": "https://news.example/1", "time": "2026-11-27T08:10:00Z", "engagement": 5200,
     "title": "Northfield recalls 120,000 cars over faulty brakes", "text": "Northfield recalls 120,000 cars. Shares fell 6 %."},
    {"source": "daily", "url": "https://daily.example/9", "time": "2026-11-27T09:00:00Z", "engagement": 840,
     "title": "Northfield recalls 120,000 cars over faulty brakes", "text": "Northfield recalls 120,000 cars. Shares fell 6 % in early trading."},
    {"source": "newswire", "url": "https://news.example/2", "time": "2026-11-27T12:00:00Z",
     "title": "Bank raises dividend after record quarter", "text": "The bank raised its dividend and beat profit forecasts."}
  ]
}'
