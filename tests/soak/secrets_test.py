#!/usr/bin/env python3
"""Texts of users and keys in headers leave no trace: not in the log, the metrics, the messages of errors, nor in /proc.

Canary texts stand in every field of every endpoint and in malformed requests, canary keys in headers; the log is read
in both formats at level debug. A name that a request gives wrongly (of a model, a head, a field) may come back to the one
who sent it, as a value that is not a text of a user; into the log it may not.
"""
import json
import time

import live

TEXT, KEY, NAME = "zebracanarytext", "sk-canary-5f3c9e", "canaryname"

BODIES = {
    "/v1/classify": [{"input": TEXT}, {"input": [{"id": TEXT, "text": TEXT, "text_pair": TEXT}]}, {"input": [TEXT, 7]},
                     {"input": {"text": TEXT}}, {"input": TEXT, "top_k": TEXT}, {"input": TEXT * 90000}],
    "/v1/embeddings": [{"input": TEXT}, {"input": TEXT, "user": TEXT}, {"input": TEXT, "dimensions": TEXT}],
    "/v1/tokenize": [{"input": TEXT, "model": "encoder"}, {"input": [TEXT, None], "model": "encoder"}],
    "/v1/rerank": [{"query": TEXT, "documents": [TEXT, {"text": TEXT}]}, {"query": TEXT, "documents": TEXT}],
    "/v1/reply": [{"question": TEXT}, {"question": TEXT, "context": [{"role": "user", "content": TEXT}]},
                  {"question": TEXT, "context": TEXT}, {"question": TEXT, "filters": {"metadata": {"topic": TEXT}}}],
    "/v1/recommend": [{"history": [{"item": TEXT, "text": TEXT}], "candidates": [{"id": TEXT, "text": TEXT}]},
                      {"interest": TEXT}, {"history": [{"item": "3"}], "user": TEXT}, {"history": TEXT}],
}
WRONG_NAMES = [("/v1/classify", {"input": "x", "model": NAME}), ("/v1/classify", {"input": "x", "heads": [NAME]}),
               ("/v1/classify", {"input": "x", NAME: 1}), ("/v1/reply", {"question": "x", "kb": NAME}),
               ("/v1/classify", {"input": "x", "explain": NAME}), ("/v1/embeddings", {"input": "x", "encoding_format": NAME})]


def exercise(port, errors):
    """Sends everything; messages of errors land in `errors`. Returns how many requests."""
    headers = [f"Authorization: Bearer {KEY}", f"X-Api-Key: {KEY}", f"Cookie: session={KEY}", f"User-Agent: {KEY}",
               f"Proxy-Authorization: {KEY}", f"Referer: http://{KEY}/"]
    raw = []
    for path, bodies in BODIES.items():
        for body in bodies:
            text = json.dumps(body).encode()
            raw += [live.request("POST", path, text, headers), live.request("POST", path, text[:-2], headers),
                    live.request("POST", path, text + b"\xff", headers), live.request("POST", path, b"[" + text + b"]")]
    for path, body in WRONG_NAMES:
        raw.append(live.request("POST", path, body, headers))
    entry = {"id": 7, "question": TEXT, "answer": TEXT, "alternates": [TEXT], "metadata": {"a": TEXT}, "source": TEXT}
    raw += [live.request("PUT", "/v1/kb/default", {"entries": [entry]}), live.request("PUT", "/v1/kb/default/entries/8", {
            "question": TEXT, "answer": TEXT}), live.request("PUT", "/v1/kb/default/entries", {"entries": [{"id": TEXT}]}),
            live.request("PUT", "/v1/kb/default/entries/7", {"question": TEXT}), live.request("GET", "/v1/kb/default/entries"),
            live.request("DELETE", "/v1/kb/default/entries/8"), live.request("DELETE", "/v1/kb/default")]
    raw += [live.request("GET", f"/{TEXT}"), live.request("GET", f"/healthz?q={TEXT}"), live.request("GET", f"/v1/kb/{TEXT}"),
            live.request("GET", f"/v1/models/{TEXT}"), live.request("GET", f"/%{TEXT}"), live.request(TEXT.upper(), "/healthz"),
            live.request("GET", "/healthz", None, [f"{KEY}: {KEY}\x01"]), live.request("GET", "/healthz", None, [
            f"X-Request-Id: <{KEY}>"]), live.request("GET", "/healthz", None, [f"Traceparent: {KEY}"]),
            live.request("POST", "/v1/classify", {"input": TEXT}, [f"X-Request-Timeout-Ms: {KEY}"]),
            live.request("POST", "/v1/classify", {"input": TEXT}, ["X-Request-Timeout-Ms: 1"]),
            b"POST /v1/classify HTTP/1.1\r\nHost: " + KEY.encode() + b"/\r\n\r\n",
            b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: " + KEY.encode() + b"\r\nContent-Length: 2\r\n\r\n{}",
            b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: " + KEY.encode()
            + b"\r\n\r\n", b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nExpect: " + KEY.encode() + b"\r\n\r\n"]
    for data in raw:
        connection = live.Connection(port)
        connection.send(data)
        try:
            answer = connection.answer()
            if answer.status >= 400:
                errors.append((answer.status, answer.body.decode("utf-8", "replace")))
        except (live.Refused, ValueError):
            pass
        connection.close()
    cut = live.Connection(port)
    cut.send(live.request("POST", "/v1/classify", {"input": TEXT}, headers)[:-3])
    cut.close()
    return len(raw) + 1


def main():
    tap = live.Tap()
    for form in ("logfmt", "json"):
        daemon = live.Daemon(f"[log]\nlevel = debug\nformat = {form}\n")
        errors = []
        count = exercise(daemon.port, errors)
        metrics = live.ask(daemon.port, "GET", "/metrics").body.decode()
        time.sleep(0.3)
        with open(f"/proc/{daemon.pid}/cmdline", "rb") as f:
            process = f.read()
        with open(f"/proc/{daemon.pid}/environ", "rb") as f:
            process += f.read()
        daemon.signal(15)
        status = daemon.wait()
        log = daemon.log()
        found = [line for line in log.split("\n") if any(x.lower() in line.lower() for x in (TEXT, KEY, NAME))]
        tap.check(not found and log.count("\n") > count / 2, f"{form}: {count} requests, {len(found)} of "
                  f"{log.count(chr(10))} log lines with a canary")
        for line in found[:10]:
            tap.say(line[:300])
        tap.check(not any(x.lower() in metrics.lower() for x in (TEXT, KEY, NAME)), f"{form}: none in {len(metrics)} bytes "
                  "of metrics")
        told = [(code, body) for code, body in errors if KEY in body or TEXT in body]
        tap.check(not told and len(errors) > 50, f"{form}: none in {len(errors)} error bodies")
        for code, body in told[:10]:
            tap.say(f"{code} {body[:300]}")
        tap.check(not any(x.encode() in process for x in (TEXT, KEY, NAME)), f"{form}: none in cmdline and environ")
        tap.check(live.MODELS not in "".join(x[1] for x in errors), f"{form}: no path of the host in error bodies")
        tap.check(status == 0, f"{form}: the daemon ends with status {status}")
        daemon.kill()
    tap.finish()


if __name__ == "__main__":
    main()
