"""/openapi.json as others see it: valid OpenAPI, and true. schemathesis makes requests from it, good and bad, and holds
every answer against it: no 5xx, the status, type and shape that are described, and bad bodies refused."""
import json
import os
import subprocess
import sys
import tempfile
import urllib.request

from clients import SOURCE, VENV, check, serve

import openapi_spec_validator

# Every case of the schemas' bounds, the same in every run; further ones, made at random, for so many seconds.
FUZZ_SECONDS = int(os.environ.get("ATT_FUZZ_SECONDS", "0"))
PHASES = "examples,coverage,fuzzing" if FUZZ_SECONDS else "examples,coverage"
SECONDS = FUZZ_SECONDS or 120
# A text or list beyond its bound is 413 here.
CONFIG = """[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
"""
CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
          "negative_data_rejection")


def test_document_is_valid(url):
    with urllib.request.urlopen(url + "/openapi.json") as answer:
        document = json.load(answer)
    openapi_spec_validator.validate(document)
    check(len(document["paths"]) > 30, len(document["paths"]))


def test_answers_keep_the_contract(url):
    hooks = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "schemathesis.toml"), "w", encoding="utf-8") as file:
            file.write(CONFIG)
        run = subprocess.run(
            [os.path.join(VENV, "bin/st"), "run", url + "/openapi.json", "--max-time", str(SECONDS), "--checks", CHECKS,
             "--exclude-path", "/v1/stream",  # which never ends
             "--phases", PHASES, "--seed", "1", "--no-color"],
            cwd=folder, env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": hooks}, capture_output=True,
            text=True, timeout=SECONDS + 60)
    if run.returncode != 0:
        print(run.stdout[-20000:], run.stderr[-2000:], file=sys.stderr)
    check(run.returncode == 0, f"schemathesis: exit status {run.returncode}")


with tempfile.TemporaryDirectory() as stores:
    serve(test_document_is_valid, test_answers_keep_the_contract,
          settings=f"[news]\npath = {stores}/news.db\n[users]\npath = {stores}/users.db\n"
          f"[model chat]\npath = {SOURCE}/tests/data/models/tiny-chat\n")
