"""Raw requests that a daemon must survive, and what it may answer: framing, lines, fields, targets, chunks, media types,
JSON, meanings, endings.

A case is (name, steps, answers). Steps: bytes to send; a number: seconds to wait; "eof": no more will be sent; "reset".
Answers: a list with one set of allowed statuses for every answer due, in order; 0 in a set: the connection may be closed
instead. After the answers nothing more may come. A refusal of the application (KEPT) must leave the connection usable:
the runner sends another request behind it. `library`: how libmicrohttpd 0.9.75 falls short of that, which is accepted.
"""
import json
import random
import select
import socket
import struct
import time

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BODY = b'{"input":"profit rose"}'
JSON = "Content-Type: application/json"
BAD = {400}
APP = {400, 422}
TWICE = "its own 400 and 413 carry the header block twice"


def head(line, *fields, host="Host: x"):
    return "\r\n".join([line, *([host] if host else []), *fields]).encode("latin-1") + b"\r\n\r\n"


def post(body, *fields, path="/v1/classify", media=JSON, length=None):
    fields = [*([media] if media else []), *fields, f"Content-Length: {len(body) if length is None else length}"]
    return head(f"POST {path} HTTP/1.1", *fields) + body


def chunked(payload, *fields, coding="chunked"):
    return head("POST /v1/classify HTTP/1.1", JSON, f"Transfer-Encoding: {coding}", *fields) + payload


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


class Case:
    def __init__(self, name, steps, answers, kept=False, library=None, twice=False, closes=False, seconds=6):
        self.name, self.answers, self.kept, self.library, self.seconds = name, answers, kept, library, seconds
        self.steps = steps if isinstance(steps, list) else [steps]
        self.closes = closes  # the daemon, soon after the last answer
        self.twice = twice  # a second block of headers after the first is the library's


def framing():
    bad_lengths = ["", "ten", "-1", "+23", "0x17", "23.0", "2 3", "23,23", "23;", "1e2", "18446744073709551616",
                   "99999999999999999999999999", "\x0023", "٢٣".encode("utf-8").decode("latin-1"), "23 bytes", "--23"]
    for value in bad_lengths:
        yield Case(f"length-{value!r}", post(BODY, length=value), [BAD | {413}], twice=True)
    yield Case("length-zeros", post(BODY, length="000023"), [{200, 400}])
    yield Case("length-spaces", post(BODY, length="  23  "), [{200, 400}], twice=True)
    for first, second in (("23", "23"), ("23", "0"), ("0", "23"), ("23", "24"), ("5", "23"), ("23", "x")):
        yield Case(f"lengths-{first}-{second}", post(BODY, f"content-length: {first}", length=second) + HEALTH,
                   [BAD], twice=True)
    yield Case("length-huge", post(b"", length=10**12), [{413}])
    yield Case("length-max", post(b"", length=2**63 - 1), [{400, 413}])
    yield Case("length-over", post(b"", length=2**63), [{400, 413}], twice=True)
    yield Case("length-short", post(BODY, length=5) + HEALTH, [APP, BAD | {0, 501, 505}], twice=True)
    yield Case("length-none", [head("POST /v1/classify HTTP/1.1", JSON) + BODY, "eof"],
               [APP | {411, 415}, BAD | {0, 501, 505}], twice=True)
    yield Case("length-of-get", head("GET /healthz HTTP/1.1", "Content-Length: 5") + b"hello", [BAD])
    yield Case("length-zero-of-get", head("GET /healthz HTTP/1.1", "Content-Length: 0"), [{200}], kept=True)
    for coding in ("gzip", "identity", "chunked, gzip", "gzip, chunked", "chunked, chunked", "xchunked", "chunkedx", "",
                   '"chunked"', "chunked;q=1", "chunked,", ",chunked", "\x0bchunked", "ch\x00unked"):
        yield Case(f"coding-{coding!r}", chunked(chunk(BODY) + b"0\r\n\r\n", coding=coding) + HEALTH, [{400, 501}])
    yield Case("coding-nul", chunked(chunk(BODY) + b"0\r\n\r\n", coding="chunked\0") + HEALTH, [{200, 400, 501}, {200, 0}],
               library="NUL ends a value")
    for coding in ("Chunked", "CHUNKED", " chunked ", "\tchunked"):
        yield Case(f"coding-{coding!r}", chunked(chunk(BODY) + b"0\r\n\r\n", coding=coding), [{200, 400, 501}])
    for name in ("Transfer-Encoding ", "Transfer-Encoding\t", " Transfer-Encoding", "Transfer_Encoding",
                 "Transfer-Encoding:\r\n"):
        yield Case(f"coding-name-{name!r}", head("POST /v1/classify HTTP/1.1", JSON, f"{name}: chunked",
                   "Content-Length: 23") + BODY, [{200, 400, 501}], twice=True)
    both = ["Transfer-Encoding: chunked", "Content-Length: 5"]
    for fields in (both, both[::-1], [both[0], "content-length: 0"], [both[0].lower(), "CONTENT-LENGTH: 5"]):
        yield Case(f"both-{fields[0][:8]}-{fields[1][:8]}-{fields[1][-1]}", head("POST /v1/classify HTTP/1.1", JSON, *fields)
                   + b"0\r\n\r\n" + HEALTH, [BAD])
    yield Case("codings-two", chunked(b"0\r\n\r\n" + HEALTH, "Transfer-Encoding: chunked"), [{400, 501}])
    yield Case("codings-identity", chunked(b"0\r\n\r\n" + HEALTH, "Transfer-Encoding: identity"), [{400, 501}])
    yield Case("coding-old", b"POST /v1/classify HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n" + chunk(BODY) + b"0\r\n\r\n", [BAD | {501}])
    yield Case("coding-get", head("GET /healthz HTTP/1.1", "Transfer-Encoding: chunked") + b"0\r\n\r\n", [{200, 400}])


def chunks():
    good = chunk(BODY) + b"0\r\n\r\n"
    for name, payload, statuses in (
            ("plain", good, {200}), ("bytewise", b"".join(chunk(BODY[i:i + 1]) for i in range(23)) + b"0\r\n\r\n", {200}),
            ("extension", chunk(BODY, b";a=b") + b"0;c\r\n\r\n", {200, 400}),
            ("extension-quoted", chunk(BODY, b';a="b;c"') + b"0\r\n\r\n", {200, 400}),
            ("trailer", chunk(BODY) + b"0\r\nX-Trailer: a\r\n\r\n", {200, 400}),
            ("upper", b"17\r\n" + BODY + b"\r\n0\r\n\r\n", {200}), ("zeros", b"00017\r\n" + BODY + b"\r\n000\r\n\r\n", {200, 400}),
            ("empty", b"0\r\n\r\n", APP)):
        yield Case(f"chunk-{name}", chunked(payload), [statuses], kept=statuses == APP)
    for name, payload in (
            ("word", b"five\r\nhello\r\n0\r\n\r\n"), ("sign", b"+17\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("minus", b"-1\r\n\r\n0\r\n\r\n"), ("prefix", b"0x17\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("space-before", b" 17\r\n" + BODY + b"\r\n0\r\n\r\n"), ("none", b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("space-after", b"17 \r\n" + BODY + b"\r\n0\r\n\r\n"), ("short", b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("no-end", b"17\r\n" + BODY + b"0\r\n\r\n"), ("huge", b"ffffffffffffffff\r\n" + BODY),
            ("overflow", b"10000000000000017\r\n" + BODY + b"\r\n0\r\n\r\n"), ("wrap", b"fffffffffffffff0\r\n" + BODY),
            ("digits", b"0" * 3000 + b"17\r\n" + BODY + b"\r\n0\r\n\r\n"), ("nul", b"17\x00\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("comma", b"17,\r\n" + BODY + b"\r\n0\r\n\r\n"), ("point", b"17.0\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("control", b"17\x0b\r\n" + BODY + b"\r\n0\r\n\r\n"), ("g", b"1g\r\n" + BODY + b"\r\n0\r\n\r\n")):
        yield Case(f"chunk-bad-{name}", [chunked(payload), 0.2, "eof"], [BAD | {413, 200 if name in ("digits", "space-after")
                   else 413, 0}], twice=True)
    yield Case("chunk-long", [chunked(b"18\r\n" + BODY + b"\r\n0\r\n\r\n"), 0.2, "eof"], [{200, 400, 0}], twice=True,
               library="takes a bare LF for CR LF")
    yield Case("chunk-2-gib", chunked(b"80000000\r\n" + b"a" * 1000), [{413, 400, 408}], twice=True, seconds=10)
    yield Case("chunk-grows", [chunked(b""), *[chunk(b" " * 65536)] * 100], [{413}])
    yield Case("chunk-line-long", [chunked(b"17;" + b"e" * 70000 + b"\r\n"), "eof"], [BAD | {413, 431, 500, 0}], twice=True,
               library="answers 500 itself to a chunk line longer than its pool")
    yield Case("chunk-trailer-long", [chunked(chunk(BODY) + b"0\r\nX: " + b"t" * 70000 + b"\r\n\r\n"), "eof"],
               [BAD | {200, 413, 431, 0}], twice=True)
    yield Case("chunk-trailers-many", [chunked(chunk(BODY) + b"0\r\n" + b"X: t\r\n" * 5000 + b"\r\n"), "eof"],
               [BAD | {200, 413, 431, 0}], twice=True)
    yield Case("chunk-trailer-framing", chunked(chunk(BODY) + b"0\r\nContent-Length: 99\r\n\r\n"), [{200, 400}], kept=False)
    yield Case("chunk-lf", chunked(b"17\n" + BODY + b"\n0\n\n"), [{200, 400}], twice=True,
               library="takes a bare LF for CR LF")
    yield Case("chunk-hidden", chunked(b"0\r\n\r\n" + LAST), [APP, {200}])


def lines():
    for version in ("HTTP/2.0", "HTTP/3.0", "HTTP/1.2", "HTTP/0.9", "HTTP/1.1x", "http/1.1", "HTTP/11", "HTTP/", "HTTQ/1.1",
                    "HTTP/1.1 HTTP/1.1", "1.1", "HTTP/1.10", "HTTP/01.1", "HTTP/1,1", "HTP/1.1", "HTTP 1.1"):
        yield Case(f"version-{version}", head(f"GET /healthz {version}"), [{400, 404, 505, 501}], twice=True)
    yield Case("version-none", [head("GET /healthz"), "eof"], [{400, 505, 200, 0}], twice=True)
    yield Case("version-old", b"GET /healthz HTTP/1.0\r\n\r\n", [{200}])
    yield Case("version-old-keep", b"GET /healthz HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" + LAST,
               [{200}, {200, 0}])
    for method in ("get", "PATCH", "TRACE", "CONNECT", "BREW", "M" * 300, "G\x01T", "GE(T", "", "POST\x00"):
        yield Case(f"method-{method[:9]!r}", head(f"{method} /v1/classify HTTP/1.1"), [{400, 405, 501, 404, 505, 0}], twice=True)
    for method in ("DELETE", "PUT", "GET", "HEAD", "PATCH"):
        yield Case(f"method-wrong-{method}", head(f"{method} /v1/classify HTTP/1.1"), [{405}], kept=method != "HEAD")
    yield Case("line-empty-before", b"\r\n\r\n" + LAST, [{200}])
    yield Case("line-empty-between", post(BODY) + b"\r\n\r\n" + LAST, [{200}, {200}])
    yield Case("line-spaces", [b"GET   /healthz   HTTP/1.1\r\nHost: x\r\n\r\n", "eof"], [{200, 400, 404, 505, 0}], twice=True)
    yield Case("line-tabs", [b"GET\t/healthz\tHTTP/1.1\r\nHost: x\r\n\r\n", "eof"], [{200, 400, 404, 505, 0}], twice=True)
    yield Case("line-lf", b"GET /healthz HTTP/1.1\nHost: x\nConnection: close\n\n", [{200, 400}])
    yield Case("line-cr", [b"GET /healthz HTTP/1.1\rHost: x\r\r", "eof"], [{200, 400, 505, 0}], twice=True)
    yield Case("line-space-before", [b" GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "eof"], [{400, 404, 405, 501, 505, 0}],
               twice=True)
    yield Case("tls", [bytes.fromhex("160301020001000001fc0303") + bytes(range(256)) * 2, "eof"], [{400, 431, 501, 505, 0}],
               twice=True)
    yield Case("http2", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "eof"], [{400, 405, 501, 505}], twice=True)
    yield Case("ssh", [b"SSH-2.0-OpenSSH_9.2\r\n", "eof"], [{400, 501, 505, 0}], twice=True)
    yield Case("smtp", [b"EHLO mail\r\nMAIL FROM:<a>\r\n\r\n", "eof"], [{400, 405, 501, 505, 0}], twice=True)
    yield Case("nothing", ["eof"], [{0}])
    yield Case("nul-bytes", [bytes(3000), "eof"], [{400, 431, 501, 505, 0}], twice=True)
    source = random.Random(5)
    for i in range(6):
        yield Case(f"noise-{i}", [source.randbytes(source.choice((10, 300, 20000))), 0.1, "eof"],
                   [{400, 404, 405, 414, 431, 501, 505, 0}], twice=True)


def fields():
    for name, field in (("paren", "Bad(Name): x"), ("space", "Bad Name: x"), ("space-colon", "Name : x"),
                        ("at", "a@b: x"), ("quote", '"a": x'), ("8-bit", "n\xe4me: x"), ("none", "no colon here"),
                        ("control-name", "a\x01b: x"), ("control-value", "X: a\x01b"), ("delete", "X: a\x7fb"),
                        ("nul-name", "a\0b: x"), ("slash", "a/b: x"), ("bracket", "a[0]: x"), ("vt", "X: a\x0bb"),
                        ("escape", "X: \x1b[31m"), ("bare-cr", "X: a\rb")):
        yield Case(f"field-{name}", head("GET /healthz HTTP/1.1", field), [BAD if name != "bare-cr" else {200, 400}],
                   twice=True)
    yield Case("field-nul-value", head("GET /healthz HTTP/1.1", "X: a\0b", "Connection: close"), [{200, 400}], twice=True,
               library="NUL ends a value")
    yield Case("field-colon-first", [head("GET /healthz HTTP/1.1", ": x", "Y: z"), 0.2, "eof"], [{400, 200}, BAD | {0, 501,
               505}], twice=True, library="a field without a name ends the header")
    yield Case("field-empty-value", head("GET /healthz HTTP/1.1", "X:"), [{200}], kept=True)
    yield Case("field-8-bit-value", head("GET /healthz HTTP/1.1", "X: \xe9\xff"), [{200, 400}])
    yield Case("field-folded", head("GET /healthz HTTP/1.1", "X: a\r\n b"), [{200, 400}])
    yield Case("field-folded-first", b"GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n", [BAD], twice=True)
    yield Case("fields-500", head("GET /healthz HTTP/1.1", *[f"X-{i}: y" for i in range(500)]), [{400, 431}], twice=True)
    yield Case("fields-20000", head("GET /healthz HTTP/1.1", *["X: y"] * 20000), [{400, 413, 431}], twice=True)
    yield Case("field-60k", head("GET /healthz HTTP/1.1", "X: " + "y" * 60000), [{400, 413, 431}], twice=True)
    yield Case("field-name-60k", head("GET /healthz HTTP/1.1", "y" * 60000 + ": x"), [{400, 413, 431}], twice=True)
    yield Case("field-3k", head("GET /healthz HTTP/1.1", "X: " + "y" * 3000), [{200}], kept=True)
    yield Case("header-no-end", [b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 40000, "eof"], [{400, 413, 431, 0}], twice=True)
    yield Case("host-none", head("GET /healthz HTTP/1.1", host=None), [BAD])
    yield Case("host-two", head("GET /healthz HTTP/1.1", "Host: x"), [BAD])
    yield Case("host-two-different", head("GET /healthz HTTP/1.1", "HOST: y"), [BAD])
    for value in ("", "a b", "a/b", "a@b", "a,b", "x\x00y", "<x>", "a\\b", "x?y", "x#y", "\xe9", "x" * 300):
        yield Case(f"host-{value[:5]!r}", head("GET /healthz HTTP/1.1", host=f"Host: {value}"), [BAD if "\0" not in value
                   else {200, 400}], twice=True)
    for value in ("localhost:8080", "[::1]:80", "127.0.0.1", "a.b-c.example"):
        yield Case(f"host-good-{value}", head("GET /healthz HTTP/1.1", host=f"Host: {value}"), [{200}], kept=True)
    yield Case("expect-other", post(BODY, "Expect: 200-ok"), [{417}])
    yield Case("expect-big", post(b"", "Expect: 100-continue", length=10**10), [{413}])
    yield Case("expect", [post(b"", "Expect: 100-continue", length=23), 0.2, BODY], [{200}])
    yield Case("expect-media", post(b"", "Expect: 100-continue", media="Content-Type: text/csv", length=23), [{415}])
    yield Case("connection-close", post(BODY, "Connection: close") + HEALTH, [{200}])
    yield Case("connection-odd", post(BODY, "Connection: keep-alive, close") + HEALTH, [{200}, {200, 0}])
    yield Case("upgrade", head("GET /healthz HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
               "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), [{200}], kept=True)
    yield Case("cookie", head("GET /healthz HTTP/1.1", "Cookie: a=b; c=\"d e\"; =; ;;"), [{200, 400}], twice=True)
    for value in ("0", "-1", "1e3", "99999999999999999999", "x", "", "1 2", "300001"):
        yield Case(f"timeout-{value}", post(BODY, f"X-Request-Timeout-Ms: {value}"), [APP], kept=True)
    yield Case("timeouts-two", post(BODY, "X-Request-Timeout-Ms: 5", "X-Request-Timeout-Ms: 6"), [BAD])
    for value in ("<b>", "x" * 65, "a b", "é".encode().decode("latin-1"), "${jndi:ldap://x}"):
        yield Case(f"request-id-{value[:6]}", head("GET /healthz HTTP/1.1", f"X-Request-Id: {value}"), [{200}], kept=True)


def targets():
    for target in ("/../healthz", "/v1/../healthz", "/%2e%2e/healthz", "/v1/%2E%2e/models", "/.%2e/x", "/./healthz",
                   "/healthz%00", "/healthz%", "/healthz%0", "/healthz%zz", "/v1/models/%00", "/v1/models/a%2fb",
                   "/v1/models/a%5cb", "/v1/models/%0a", "/v1/models/%ff%fe", "/v1/models/%c0%ae", "/v1/models/" + "m" * 300,
                   "healthz", "?x", "//", "//healthz", "/healthz/", "/healthz//", "/HEALTHZ", "/v1", "/v1/", "/",
                   "http://x/healthz", "https://user:pass@x/healthz", "ftp://x/", "x:80", "*", "#", "/healthz#a", "/\\..\\",
                   "/v1/kb/../kb/default", "/v1/kb/default/entries/..", "/v1/kb//entries", "/v1/models/ minilm",
                   "/etc/passwd", "/%2fetc%2fpasswd", "/cgi-bin/.%2e/.%2e/bin/sh", "/v1/models/%E2%80%AE",
                   "/\xff\xfe", "/v1/models/\xc3\xa9", "/" + "a/" * 2000, "/healthz?" + "q" * 3000, "/healthz?%zz",
                   "/healthz?a=%00", "/healthz?a b", "/healthz?\x01", "/" + "%41" * 900, "/" + "u" * 9000, "/" + "u" * 100000):
        good = {200, 400, 404, 414, 431, 505}
        yield Case(f"target-{target[:24]!r}", head(f"GET {target} HTTP/1.1", "Connection: close"), [good], twice=True,
                   seconds=8)
    yield Case("target-query", head("GET /healthz?a=b&c HTTP/1.1"), [{200}], kept=True)
    yield Case("target-none", [b"GET HTTP/1.1\r\nHost: x\r\n\r\n", "eof"], [{400, 404, 505, 0}], twice=True)
    yield Case("target-star", head("OPTIONS * HTTP/1.1"), [{204, 200}])
    yield Case("target-nul", [b"GET /healthz\0/x HTTP/1.1\r\nHost: x\r\n\r\n", "eof"], [{200, 400, 404, 0}], twice=True,
               library="NUL ends a target")


def media():
    for value in ("text/plain", "", "application/jsonx", "application/json; charset=latin-1", "application/x-www-form-urlencoded",
                  "multipart/form-data; boundary=x", "application", "*/*", "application/json, text/plain", "application /json",
                  "application/json; charset=\"utf-16\"", "APPLICATION/XML", "application/problem+json"):
        yield Case(f"media-{value[:30]}", post(BODY, media=f"Content-Type: {value}"), [{400, 415}], kept=True)
    yield Case("media-none", post(BODY, media=None), [{400, 415}], kept=True)
    for value in ("Application/JSON", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\"", "application/json;"):
        yield Case(f"media-good-{value[-16:]}", post(BODY, media=f"Content-Type: {value}"), [{200}], kept=True)
    for value in ("gzip", "br", "deflate", "gzip, identity", "x", ""):
        yield Case(f"content-coding-{value}", post(BODY, f"Content-Encoding: {value}"), [{400, 415}], kept=True)
    yield Case("media-two", post(BODY, "Content-Type: text/plain"), [BAD])
    yield Case("body-5m", [post(b"", length=5 << 20), *[b"a" * 65536] * 80], [{413}])
    yield Case("body-64k-wrong-media", post(b"a" * 60000, media="Content-Type: text/plain"), [{415}], kept=True)
    yield Case("body-for-none", head("DELETE /v1/kb/default HTTP/1.1", JSON, "Content-Length: 2") + b"{}", [BAD], kept=True)


def documents():
    deep = lambda n, a, b: b'{"input":"a","x":' + a * n + b * n + b"}"
    texts = [b"", b" ", b"{", b"}", b"[]", b"null", b"true", b"0", b'""', b'"x"', b"{}{}", b'{"input"}', b'{"input":}',
             b'{"input":"a",}', b'{,"input":"a"}', b"{'input':'a'}", b'{input:"a"}', b'{"input":"a"', b'{"input":"a}',
             b'{"input":"a"}x', b'{"input":"a"} {}', b'{"input":NaN}', b'{"input":Infinity}', b'{"x":-Infinity,"input":"a"}',
             b'{"x":01,"input":"a"}', b'{"x":1.,"input":"a"}', b'{"x":.5,"input":"a"}', b'{"x":+1,"input":"a"}',
             b'{"x":0x1,"input":"a"}', b'{"x":1e,"input":"a"}', b'{"x":1e400,"input":"a"}', b'{"x":-1e999,"input":"a"}',
             b'{"x":99999999999999999999,"input":"a"}', b'{"input":"a","input":"b"}', b'{"x":{"y":1,"y":2},"input":"a"}',
             b'{"input":"\xe9"}', b'{"input":"\xc0\x80"}', b'{"input":"\xed\xa0\x80"}', b'{"input":"\xf4\x90\x80\x80"}',
             b'{"input":"\xff"}', b'{"input":"a\x00b"}', b'{"input":"\\u0000"}', b'{"input":"\\ud800"}', b'{"input":"\\udc00\\ud800"}',
             b'{"input":"\\ud800\\u0041"}', b'{"input":"\\u12"}', b'{"input":"\\x41"}', b'{"input":"a\nb"}', b'{"input":"\t"}',
             b'\xef\xbb\xbf{"input":"a"}', '{"input":"a"}'.encode("utf-16"), b'{"input":"a"}\x00', b'// c\n{"input":"a"}',
             b'{"input":/**/"a"}', b'{"\\u0000":1,"input":"a"}', b'{"input":tru}', b'{"input":nul}', b"[" * 100000,
             b'{"a":' * 100000, deep(33, b"[", b"]"), deep(3000, b"[", b"]"), deep(1000, b'{"a":[', b"]}"), b"\x1f\x8b\x08\0",
             b"a=b&c=d", b"<?xml version='1.0'?><a/>", b'{"input":"' + b"\\" * 999 + b'"}', b"\x80" * 1000,
             b'{"input":"a","' + b"k" * 100000 + b'":1}', b"{" + b",".join(b'"k%d":1' % i for i in range(20000)) + b"}",
             b'{"input":"a","x":[' + b"1," * 50000 + b"1]}"]
    for i, text in enumerate(texts):
        yield Case(f"json-{i}-{text[:24]!r}", post(text), [APP | {413}], kept=True)


def meanings():
    """Well-formed JSON without sense, for every endpoint."""
    odd = [None, True, 7, -1.5, "", [], {}, [[]], [None], [{}], "x" * 200000, ["a"] * 3000, {"text": 7}, [7, "a"], "\ud7ff\ue000",
           1e300, -(2**63), 2**63 - 1, 0, [["a"] * 3]]
    good = {"/v1/classify": {"input": "profit"}, "/v1/embeddings": {"input": "profit"}, "/v1/tokenize": {"input": "profit"},
            "/v1/rerank": {"query": "q", "documents": ["a", "b"]}, "/v1/reply": {"question": "refund"},
            "/v1/recommend": {"history": [{"item": "3"}]}}
    more = {"/v1/classify": ["model", "heads", "top_k", "threshold", "windows", "truncate", "explain", "deadline_ms", "priority"],
            "/v1/embeddings": ["model", "encoding_format", "dimensions", "user"],
            "/v1/tokenize": ["model", "add_special_tokens"], "/v1/rerank": ["model", "top_n", "return_documents",
            "max_tokens_per_doc"], "/v1/reply": ["context", "previous_id", "kb", "top", "threshold", "margin", "filters",
            "explain"], "/v1/recommend": ["interest", "candidates", "top_k", "exclude", "exclude_seen", "diversity", "explain",
            "user"]}
    for path, body in good.items():
        for key in [*body, *more[path], "unknown"]:
            for i, value in enumerate(odd):
                yield Case(f"meaning-{path[4:]}-{key}-{i}", post(json.dumps({**body, key: value}).encode(), path=path),
                           [{200, 400, 404, 413, 422} | ({504} if key == "deadline_ms" else set())], kept=True, seconds=20)
    events = [{"item": None}, {"item": 3}, {"item": ""}, {"item": "1" * 5000}, {"item": "1", "value": 1e308}, {"item": "1", "time": -1},
              {"item": "1", "time": 2**62}, {"item": "1", "type": "steal"}, {"item": "1", "value": "5"}, {"item": "1", "x": 1}, {}]
    for i, event in enumerate(events):
        yield Case(f"meaning-event-{i}", post(json.dumps({"history": [event]}).encode(), path="/v1/recommend"),
                   [{200, 400, 413, 422}], kept=True)
    entries = [{}, {"id": 0}, {"id": "1", "question": "q", "answer": "a"}, {"id": 5, "question": "", "answer": ""},
               {"id": -5, "question": "q", "answer": "a"}, {"id": 2**62, "question": "q", "answer": "a"},
               {"id": 5, "question": "q", "answer": "a", "alternates": ["x"] * 100}, {"id": 5, "question": "q", "answer": "a",
               "prompts": [None]}, {"id": 5, "question": "q", "answer": "a", "metadata": []}]
    for i, entry in enumerate(entries):
        body = json.dumps({"entries": [entry]}).encode()
        raw = head("PUT /v1/kb/default/entries HTTP/1.1", JSON, f"Content-Length: {len(body)}") + body
        yield Case(f"meaning-entry-{i}", raw, [{200, 400, 413, 422}], kept=True)
    for path in ("/v1/kb/none", "/v1/kb/default/entries/x", "/v1/kb/default/entries/99999999999999999999", "/v1/models/none",
                 "/v1/kb/default/entries/-1", "/v1/kb/default/entries/1e2", "/v1/kb/%20", "/v1/kb/default/other"):
        yield Case(f"meaning-{path}", head(f"GET {path} HTTP/1.1"), [{404, 422}], kept=True)


def endings():
    request = post(BODY)
    for cut in (1, 4, 20, 60, len(request) - 24, len(request) - 10, len(request) - 1):
        yield Case(f"end-{cut}", [request[:cut], 0.05, "eof"], [{400, 408, 0}])
        yield Case(f"reset-{cut}", [request[:cut], 0.05, "reset"], [])
    # The odd bytes made the library miss the close for as long as its own timeout.
    for name, data in (("plain", HEALTH), ("lf", b"GET /healthz HTTP/1.1\r\nHost: x-\n\r\n"), ("more", HEALTH + HEALTH[:9])):
        yield Case(f"end-kept-{name}", [data, 0.02, "eof"], [{200}], closes=True)
    yield Case("end-whole", [request, "eof"], [{200, 0}])
    yield Case("reset-whole", [request, "reset"], [])
    yield Case("end-chunk", [chunked(b"100\r\nabc"), 0.05, "eof"], [{400, 408, 0}])
    yield Case("dribble", [x for i in range(0, len(request), 9) for x in (request[i:i + 9], 0.02)], [{200}])
    yield Case("pipeline", HEALTH * 30 + LAST, [{200}] * 31)
    yield Case("pipeline-mixed", post(BODY) + head("GET /none HTTP/1.1") + post(b"{") + post(BODY, path="/v1/embeddings") + LAST,
               [{200}, {404}, {400}, {200}, {200}])
    yield Case("pipeline-bad-last", post(BODY) + chunked(b"zz\r\n") + HEALTH, [{200}, BAD], twice=True)
    yield Case("pipeline-body-is-request", post(LAST) + LAST, [{400}, {200}])
    yield Case("pipeline-cut", [post(BODY) + HEALTH[:20], 0.2, HEALTH[20:] + LAST], [{200}, {200}, {200}])


def all_cases():
    for group in (framing, chunks, lines, fields, targets, media, documents, meanings, endings):
        yield from group()


# ---- the runner ----

def split(data, at_end):
    """The answers in the bytes received, and what is wrong with them."""
    answers = []
    while data:
        end = data.find(b"\r\n\r\n")
        if not data.startswith(b"HTTP/1.1 "):
            return answers, f"not an answer: {data[:60]!r}"
        if end < 0:
            return answers, "a header without an end" if at_end else None
        lines = data[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or " " in name:
                return answers, f"a bad field: {line[:60]!r}"
            headers[name.lower()] = value.strip()
        status = int(lines[0].split()[1])
        length = 0 if status in (100, 204) else int(headers.get("content-length", -1))
        if length < 0:
            return answers, "no Content-Length"
        if len(data) < end + 4 + length:
            return answers, "an answer cut short" if at_end else None
        if status != 100:
            answers.append((status, headers, data[end + 4:end + 4 + length]))
        data = data[end + 4 + length:]
    return answers, None


def error_of(answer):
    """What is wrong with the body of a refusal."""
    status, headers, body = answer
    if status < 400:
        return None
    try:
        error = json.loads(body)["error"]
        good = error["code"] and error["message"] and error["type"]
    except (ValueError, KeyError, TypeError):
        good = False
    if not good or headers.get("content-type") != "application/json":
        return f"{status} without an error body: {body[:80]!r}"
    if status == 405 and "allow" not in headers:
        return "405 without Allow"
    if status in (429, 503) and "retry-after" not in headers:
        return f"{status} without Retry-After"
    return None


def run(port, case):
    """What is wrong with the daemon's answer to a case, or None."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    begun, data, closed = time.monotonic(), b"", False
    want = [*case.answers, *([{200}] if case.kept else [])]
    is_head = any(isinstance(x, bytes) and x.startswith(b"HEAD") for x in case.steps)

    def pump(until, out=b""):
        nonlocal data, closed
        while not closed:
            readable, writable, _ = select.select([sock], [sock] if out else [], [], max(0, until - time.monotonic()))
            if not readable and not writable:
                return
            try:
                if readable:
                    piece = sock.recv(262144)
                    closed = not piece
                    data += piece
                if writable:
                    out = out[sock.send(out[:262144]):]
                    if not out:
                        return
            except OSError:
                closed = True

    try:
        for step in [*case.steps, *([LAST] if case.kept else [])]:
            if step == "eof":
                try:
                    sock.shutdown(socket.SHUT_WR)
                except OSError:
                    closed = True
            elif step == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return None
            elif isinstance(step, float):
                pump(time.monotonic() + step)
            else:
                pump(begun + case.seconds, step)
        while not closed and time.monotonic() - begun < case.seconds:
            pump(time.monotonic() + 0.1)
            answers, _ = split(data, False)
            if len(answers) >= len(want) and not is_head:
                pump(time.monotonic() + (3 if case.closes else 0.1))  # one too many would come now
                break
            if is_head and data.endswith(b"\r\n\r\n"):
                break
    finally:
        sock.close()
    return judge(case, data, closed, want, is_head)


def judge(case, data, closed, want, is_head):
    if is_head:
        return None if data.count(b"HTTP/1.1 ") == 1 and int(data[9:12]) in want[0] else f"HEAD: {data[:80]!r}"
    answers, wrong = split(data, closed)
    statuses = [a[0] for a in answers]
    what = f"{statuses}{' and closed' if closed else ''}"
    if case.twice and wrong and statuses and closed:
        answers, statuses, wrong = answers[:len(want)], statuses[:len(want)], None
    if case.twice and not statuses and data.count(b"HTTP/1.1 ") >= 1 and int(data[9:12]) in case.answers[0] and closed:
        return None
    if wrong:
        return f"{wrong}; {what}"
    if case.closes and not closed:
        return f"not closed: {what}"
    if len(statuses) > len(want):
        return f"more answers than requests: {what}"
    for i, allowed in enumerate(want):
        if i >= len(statuses):
            if closed and 0 in allowed:
                return None
            return f"answer {i + 1} of {len(want)} is missing: {what}"
        if statuses[i] not in allowed:
            return f"answer {i + 1} is {statuses[i]}, allowed {sorted(allowed)}: {what}"
    if case.library is None and not case.twice:
        for answer in answers:
            if problem := error_of(answer):
                return problem
    return None
