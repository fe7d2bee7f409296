#!/usr/bin/env python3
"""Gives every malformed model to `attend check` and judges what comes back, as TAP: one test a class of cases.

  run_models.py ATTEND [--part N] [--only REGEX] [--scale X] [--list]

A model that is refused ends with status 1 and one line on standard error that names the file, and the key or tensor; one
that is accepted with status 0 and the answers of the model that it stands for. Nothing takes more than 5 s or 300 MB; no
signal, no report of a sanitizer. --part N takes every N-th case; --scale is for sanitizers: times and memory times X.
"""
import argparse
import concurrent.futures
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading

import base_models as base
import cases as shapes
import make_models

SECONDS, PATIENCE, MEGABYTES, LINE_BYTES = 5, 30, 300, 600  # computing; waiting on a busy machine; memory; a message
TEXT = "where is my parcel, the order came late"
QUESTIONS = {
    "llama": '{"case":"a","call":"generate_text","inputs":{"text":"the end and"},"params":{"max_new_tokens":6,"num_beams":1}}',
    "sasrec": '{"case":"a","call":"recommend","inputs":{"history":[1,3,4],"k":5,"exclude_seen":true}}',
    "sentence": '{"case":"a","call":"embed","inputs":{"text":"%s"}}' % TEXT,
    "bert": '{"case":"a","call":"classify","inputs":{"text":"%s"}}' % TEXT}
QUESTIONS.update(gpt2=QUESTIONS["llama"], t5=QUESTIONS["llama"].replace("the end", TEXT), gguf=QUESTIONS["llama"],
                 bert_vocab_txt=QUESTIONS["bert"], two_heads=QUESTIONS["bert"], adapter=QUESTIONS["bert"])


class Runner:
    def __init__(self, attend, scale, folder):
        self.attend, self.scale, self.folder = attend, scale, folder
        self.base = os.path.join(folder, "base")
        shapes.lay(self.base, base.bert())
        self.answers, self.lock = {}, threading.Lock()

    def run(self, words, text=""):
        """Status, standard output and error, whether it ended in time, and what wait4 says of its memory in MB."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
            given.write(text.encode())
            given.seek(0)
            process = subprocess.Popen([self.attend] + words, stdin=given, stdout=out, stderr=err)
            late = threading.Timer(PATIENCE * self.scale, process.kill)
            late.start()
            _, status, usage = os.wait4(process.pid, 0)
            in_time = late.is_alive() and usage.ru_utime + usage.ru_stime <= SECONDS * self.scale
            late.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0), err.seek(0)
            return process.returncode, out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace"), \
                in_time, usage.ru_maxrss / 1024

    def answer(self, family, folder):
        base_option = ["--base", "base=" + self.base] if family == "adapter" else []
        status, out, err, _, _ = self.run(["run", "--model", folder] + base_option, QUESTIONS[family] + "\n")
        return out if status == 0 and '"error"' not in out else f"no answer: {out}{err}"

    def expected(self, case):
        """The answer of the model that an accepted one stands for."""
        key = (case.family, tuple(sorted((case.like or {}).items())))
        with self.lock:
            if key not in self.answers:
                folder = tempfile.mkdtemp(dir=self.folder)
                shapes.lay(folder, dict(base.FAMILIES[case.family](), **(case.like or {})))
                self.answers[key] = self.answer(case.family, folder)
                shutil.rmtree(folder)
            return self.answers[key]

    def judge(self, case, folder):
        status, out, err, in_time, megabytes = self.run(["check", folder, "--base", "base=" + self.base])
        text = out + err
        if not in_time:
            return f"takes more than {SECONDS * self.scale} s"
        if status < 0 or status > 1 or "Sanitizer" in text or "runtime error" in text:
            return f"status {status}: {text[-2000:]}"
        if megabytes > MEGABYTES * self.scale:
            return f"takes {megabytes:.0f} MB: {text}"
        if case.expect == shapes.ACCEPT:
            if status != 0:
                return f"is refused: {text}"
            got, wanted = self.answer(case.family, folder), self.expected(case)
            if wanted.startswith("no answer"):
                return f"the model that it stands for gives {wanted}"
            return None if got == wanted else f"answers {got[:300]} instead of {wanted[:300]}"
        if status == 0:
            return None if case.expect == shapes.EITHER else "is accepted"
        if not re.fullmatch(r"attend check: [^\x00-\x1f\x7f]+\n", err) or len(err.encode()) > LINE_BYTES:
            return f"says no single short line: {err!r}"
        if case.expect == shapes.REFUSE and case.file and case.file not in err:
            return f"does not name {case.file}: {err}"
        if case.expect == shapes.REFUSE and case.words and not any(word in err for word in case.words):
            return f"names none of {case.words}: {err}"
        return None

    def try_case(self, case):
        folder = tempfile.mkdtemp(dir=self.folder)
        model = os.path.join(folder, "model")
        os.mkdir(model)
        try:
            case.write(model)
            return case, self.judge(case, model)
        finally:
            shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attend")
    parser.add_argument("--part", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    chosen = [c for c in make_models.all_cases() if re.search(options.only, c.name)][::options.part]
    if options.list:
        for case in chosen:
            print(case.expect, case.name)
        return 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kinds, failed = {}, set()
    with tempfile.TemporaryDirectory(prefix="attend-hostile-") as folder:
        runner = Runner(options.attend, options.scale, folder)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for case, problem in pool.map(runner.try_case, chosen):
                kind = case.name.split("-")[0]
                kinds[kind] = kinds.get(kind, 0) + 1
                if problem:
                    failed.add(kind)
                    print(f"# {case.name} {problem}".rstrip().replace("\n", "\n# "), flush=True)
    print(f"1..{len(kinds)}")
    for number, (kind, count) in enumerate(kinds.items(), 1):
        print(f"{'not ok' if kind in failed else 'ok'} {number} - {kind}: {count} cases")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
