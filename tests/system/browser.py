"""A headless Chromium, spoken to by the DevTools protocol over a pipe: no driver is needed."""
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from tap import Skip

ANSWER_S = 60


def find():
    """The browser's path; Skip where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    raise Skip("no Chromium")


class Page:
    """One page. .said: what it wrote to the console and what it threw."""

    def __init__(self, language="en-GB"):
        program = find()
        self.folder = tempfile.mkdtemp(prefix="attentd-browser-")
        self.said, self._rest, self._number, self._session = [], b"", 0, None
        from_us, self._out = os.pipe()
        self._in, to_us = os.pipe()
        # The browser reads descriptor 3 and writes descriptor 4.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{from_us} 4>&{to_us}', program, "--headless", "--no-sandbox",
             "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={self.folder}",
             f"--accept-lang={language}", f"--lang={language}", "about:blank"],
            start_new_session=True, pass_fds=(from_us, to_us),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.folder, "LANGUAGE": language.replace("-", "_")})
        os.close(from_us)
        os.close(to_us)
        try:
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self._ask(domain + ".enable")
        except BaseException:
            self.close()
            raise

    def _message(self):
        while b"\0" not in self._rest:
            if not select.select([self._in], [], [], ANSWER_S)[0]:
                raise AssertionError(f"the browser says nothing for {ANSWER_S} s")
            block = os.read(self._in, 65536)
            if not block:
                raise AssertionError("the browser ended")
            self._rest += block
        line, self._rest = self._rest.split(b"\0", 1)
        return json.loads(line)

    def _ask(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            if answer.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                self.said.append(answer["params"])

    def open(self, url):
        self._ask("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, script, seconds=40):
        """Until the expression is true."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.run(f"Boolean({script})"):
                return
            time.sleep(0.05)
        shown = self.run("document.body?.innerText")
        raise AssertionError(f"not within {seconds} s: {script}; the page: {shown!r}, {self.said}")

    def close(self):
        os.close(self._out)
        os.close(self._in)
        # All of its processes, or one of them writes into the folder while it is removed.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
