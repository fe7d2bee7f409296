#!/usr/bin/env python3
"""The installed units under a real systemd, PID 1 of namespaces of its own over a copy-on-write view of this machine.

Needs root, and a kernel that lets it mount. Nothing outside the namespaces is touched but a cgroup that is removed.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from tap import Skip, check, run

SOURCE = os.environ["ATT_SOURCE_ROOT"]
BUILD = os.environ["ATT_BUILD_ROOT"]
PREFIX = os.environ["ATT_PREFIX"]
SYSCONFDIR = os.path.join(PREFIX, os.environ["ATT_SYSCONFDIR"])

BOOT = r"""
set -e
mount -t tmpfs tmpfs "$WORK"
mkdir "$WORK/upper" "$WORK/work" "$WORK/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root"
cd "$WORK/root"
# Of the machine's own services and state nothing is seen.
mkdir -p etc/systemd/system var/lib var/log old
for folder in etc/systemd/system var/lib var/log run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
chmod 1777 tmp
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"; done
mknod -m 666 dev/tty c 5 0
mkdir dev/shm dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
cp -a "$FILES/." .
pivot_root . old
umount -l old
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=sysinit.target
"""


class Machine:
    """A booted systemd; run() runs a shell command beside it."""

    def __init__(self):
        if os.environ.get("ATT_SANITIZED") == "yes":
            raise Skip("a sanitizer does not fit into the sandbox")
        if os.geteuid() != 0:
            raise Skip("not root")
        if not os.access("/lib/systemd/systemd", os.X_OK):
            raise Skip("no systemd")
        if not shutil.which("curl"):
            raise Skip("no curl")
        self.folder = tempfile.mkdtemp(prefix="attentd-sandbox-")
        self.cgroup = self.process = None
        try:
            self._boot()
        except BaseException:
            self.close()
            raise

    def _boot(self):
        files, work = f"{self.folder}/files", f"{self.folder}/work"
        os.mkdir(files)
        os.mkdir(work)
        install_into(files)
        with open("/proc/self/mounts", encoding="utf-8") as f:
            hierarchy = [x.split()[1] for x in f if x.split()[2] == "cgroup2"]
        if not hierarchy:
            raise Skip("no cgroup2")
        try:
            os.mkdir(cgroup := f"{hierarchy[0]}/attentd-test-{os.getpid()}")
        except OSError as error:
            raise Skip(f"no cgroup: {error}") from error
        self.cgroup = cgroup
        spaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup"]
        self.log = open(f"{self.folder}/log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["sh", "-c", 'echo $$ >"$CGROUP/cgroup.procs" && exec unshare --fork --kill-child "$@"', "sh",
             "--propagation", "private", *spaces, "bash", "-c", BOOT],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env={**os.environ, "CGROUP": cgroup, "WORK": work, "FILES": files})
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                self.log.seek(0)
                raise Skip("systemd cannot run here: " + (self.log.read().strip().splitlines() or ["?"])[-1])
            if self.pid() and self.run("systemctl is-active --quiet sysinit.target", may_fail=True)[0] == 0:
                return
            time.sleep(0.1)
        raise AssertionError("systemd did not come up: " + self.run("systemctl list-jobs", may_fail=True)[1])

    def pid(self):
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as f:
                pid = f.read().split()[0]
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                return pid if f.read() == "systemd\n" else None
        except (OSError, IndexError):
            return None

    def run(self, command, may_fail=False):
        """(exit status, output)"""
        result = subprocess.run(["nsenter", "-t", self.pid(), "-m", "-p", "-n", "-i", "-u", "-C", "--root", "--wdns=/",
                                 "env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", command],
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/")
        if result.returncode != 0 and not may_fail:
            raise AssertionError(f"{command}: {result.returncode}: {result.stdout}\n{self.journal()}")
        return result.returncode, result.stdout

    def journal(self):
        return self.run("journalctl --sync; journalctl --no-pager -n 30 -o cat -u 'attentd*'", may_fail=True)[1]

    def main_pid(self, unit="attentd.service"):
        return self.run(f"systemctl show -P MainPID {unit}")[1].strip()

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self.cgroup is not None:
            # Its folders can go once the last process in it is gone.
            for _ in range(100):
                for folder, _, _ in os.walk(self.cgroup, topdown=False):
                    try:
                        os.rmdir(folder)
                    except OSError:
                        pass
                if not os.path.exists(self.cgroup):
                    break
                time.sleep(0.05)
        shutil.rmtree(self.folder)


def install_into(root):
    result = subprocess.run([os.environ["ATT_MESON"], "install", "-C", BUILD, "--no-rebuild", "--destdir", root],
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, result.stdout)
    # Small models where the fetched ones would be, and no others.
    state = f"{root}/var/lib/attentd"
    for name, data in (("minilm", "st-bert-mean"), ("sentiment", "bert-sentiment"), ("movies", "sasrec")):
        shutil.copytree(f"{SOURCE}/tests/data/models/{data}", f"{state}/models/{name}")
    with open(f"{root}{SYSCONFDIR}/attentd/attentd.conf", "w", encoding="utf-8") as f:
        f.write("[model minilm]\npath = /var/lib/attentd/models/minilm\n"
                "[model sentiment]\npath = /var/lib/attentd/models/sentiment\n"
                "[model movies]\npath = /var/lib/attentd/models/movies\n"
                "[kb default]\npath = /var/lib/attentd/kb/default.db\nmodel = minilm\n")
    os.makedirs(f"{root}/etc/credstore")
    with open(f"{root}/etc/credstore/attentd.api-keys", "w", encoding="utf-8") as f:
        f.write(f"shop {hashlib.sha256(KEY.encode()).hexdigest()} infer,write\n")


KEY = "canary-key-of-a-test"
CURL = f"curl -sS -m 20 -H 'Content-Type: application/json' -H 'Authorization: Bearer {KEY}'"
URL = "http://127.0.0.1:8080"
BODY = """'{"model":"sentiment","input":"good"}'"""
machine = None


def booted():
    """The one machine of all tests; where it cannot be, the reason is raised for each."""
    global machine
    if machine is None:
        try:
            machine = Machine()
        except Skip as reason:
            machine = reason
    if isinstance(machine, Skip):
        raise machine
    return machine


def test_first_request_starts_it():
    m = booted()
    m.run("systemctl start attentd.socket")
    check(m.run("systemctl is-active attentd.service", may_fail=True)[1].strip() == "inactive", "it runs already")
    check(m.run(f"{CURL} {URL}/readyz")[1] == '{"status":"ready"}', m.journal())
    check('"label"' in m.run(f"{CURL} {URL}/v1/classify -d {BODY}")[1], m.journal())


def test_journal_has_fields():
    m = booted()
    found = m.run("journalctl --sync; journalctl -o cat -u attentd.service ATTENTD_EVENT=request ATTENTD_STATUS=200")[1]
    check("/v1/classify" in found, found)


def test_it_has_no_privilege():
    m = booted()
    pid = m.main_pid()
    status = m.run(f"cat /proc/{pid}/status")[1]
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        check(line in status, f"no '{line}' in {status}")
    check(int(re.search(r"^Uid:\t(\d+)", status, re.M).group(1)) > 60000, status)
    check(m.run(f"readlink /proc/{pid}/ns/net")[1] != m.run("readlink /proc/1/ns/net")[1], "it sees the network")
    inside = f"nsenter -t {pid} -m"
    check(m.run(f"{inside} touch /var/lib/attentd/models/x", may_fail=True)[0] != 0, "models can be written")
    check(m.run(f"{inside} touch /usr/x", may_fail=True)[0] != 0, "/usr can be written")
    check(m.run(f"{inside} ls /var")[1].split() == ["lib", "tmp"], "it sees /var")


def test_knowledge_base_is_written():
    m = booted()
    body = """'{"question":"Is it open?","answer":"Yes."}'"""
    answer = m.run(f"{CURL} -X PUT {URL}/v1/kb/default/entries/1 -d {body}")[1]
    check('"written":1' in answer, answer)


def documented(first_line):
    """The block of docs/deployment.md that begins with this line."""
    with open(f"{SOURCE}/docs/deployment.md", encoding="utf-8") as f:
        return re.search(rf"^```\n({re.escape(first_line)}\n.*?)^```$", f.read(), re.M | re.S).group(1)


def restart(m):
    m.run("systemctl daemon-reload; systemctl reset-failed attentd.service; systemctl restart attentd.service")
    check(m.run(f"{CURL} {URL}/readyz")[1] == '{"status":"ready"}', m.journal())


def test_state_is_kept():
    """What the page says to configure works, and is there after a restart."""
    m = booted()
    m.run(f"cat >{SYSCONFDIR}/attentd/attentd.conf.d/state.conf <<'.'\n"
          f"{documented('# /etc/attentd/attentd.conf.d/state.conf')}.")
    restart(m)
    examples = [{"text": f"{word} {i}", "label": word} for word in ("card", "transfer") for i in range(4)]
    for path, body in (("ingest", {"items": [{"id": "n1", "text": "good"}]}),
                       ("feedback", {"events": [{"id": "e1", "user": "u1", "item": "1", "type": "buy"}]}),
                       ("classifiers", {"name": "desk", "model": "minilm", "examples": examples})):
        answer = m.run(f"{CURL} {URL}/v1/{path} -d '{json.dumps(body)}'")[1]
        check('"error":{' not in answer, f"{path}: {answer}\n{m.journal()}")
    restart(m)
    for path, word in (("news/n1", '"good"'), ("users/u1", '"buy"'), ("classifiers", '"desk"')):
        answer = m.run(f"{CURL} {URL}/v1/{path}")[1]
        check(word in answer, f"{path}: {answer}\n{m.journal()}")


RECEIVER = """
import http.server
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/run/hook", "wb") as f:
            f.write(str(self.headers).encode() + body)
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9999), Hook).serve_forever()
"""


def wait_for(m, command, word):
    until = time.monotonic() + 30
    while word not in (found := m.run(command, may_fail=True)[1]):
        check(time.monotonic() < until, f"{command}: {found}\n{m.journal()}")
        time.sleep(0.2)


def test_webhooks_leave_it_by_the_drop_in():
    """No alert leaves the service as it is installed; with the drop-in of the page it does, signed."""
    m = booted()
    hook = documented("# /etc/attentd/attentd.conf.d/desk.conf").replace("https://203.0.113.7", "http://127.0.0.1:9999")
    check("127.0.0.1:9999/hook" in hook and "secret_file" in hook, hook)
    config = f"{SYSCONFDIR}/attentd/attentd.conf.d/desk.conf"
    unsigned = re.sub(r"^secret_file.*\n", "", hook, flags=re.M) + "[alert any]\nlevel = red\nsubject = all\nitems_min = 2\n"
    m.run(f"cat >/run/receiver.py <<'.'\n{RECEIVER}.\ncat >{config} <<'.'\n{unsigned}.\n"
          f"systemd-run -q --unit=receiver {shutil.which('python3', path='/usr/bin')} /run/receiver.py")
    restart(m)
    m.run(f"{CURL} {URL}/v1/ingest -d '" + json.dumps({"items": [{"id": "w1", "text": "bad"}]}) + "'")
    wait_for(m, "journalctl --sync; journalctl -o cat -u attentd.service ATTENTD_EVENT=webhook_failed", "webhook_failed")
    check(m.run("ls /run/hook", may_fail=True)[0] != 0, "an alert left the sandbox")
    folder = "/etc/systemd/system/attentd.service.d"
    drop_in = documented("# systemctl edit attentd.service").replace("203.0.113.7", "127.0.0.1")
    signed = unsigned.replace("levels =", "secret_file = /run/credentials/attentd.service/desk-secret\nlevels =")
    m.run(f"mkdir -p {folder}; cat >{folder}/override.conf <<'.'\n{drop_in}.\n"
          f"(umask 077; echo secret >/etc/credstore/attentd.desk-secret); cat >{config} <<'.'\n{signed}.")
    restart(m)
    wait_for(m, "cat /run/hook", '"rule":"any"')
    check("X-Attentd-Signature: sha256=" in m.run("cat /run/hook")[1], "it is not signed")
    m.run(f"rm {config} {folder}/override.conf; systemctl stop receiver")
    restart(m)


def test_credentials_that_exist_are_handed_over():
    m = booted()
    found = m.run(f"nsenter -t {m.main_pid()} -m ls /run/credentials/attentd.service")[1]
    check(found.split() == ["api-keys"], f"{found!r}")
    answer = m.run(f"curl -sS -m 20 -H 'Content-Type: application/json' {URL}/v1/classify -d {BODY}")[1]
    check("missing_api_key" in answer, answer)
    environment = m.run(f"cat /proc/{m.main_pid()}/environ /proc/{m.main_pid()}/cmdline")[1]
    check(KEY not in environment and KEY not in m.journal(), "the key is shown")


def test_reload():
    """systemctl reload takes a new model; a bad file leaves everything as it was."""
    m = booted()
    pid = m.main_pid()
    drop_in = f"{SYSCONFDIR}/attentd/attentd.conf.d/more.conf"
    m.run(f"printf '[model more]\\npath = /var/lib/attentd/models/sentiment\\n' >{drop_in}")
    m.run("systemctl reload attentd.service")
    until = time.monotonic() + 20
    while '"more"' not in m.run(f"{CURL} {URL}/v1/models")[1]:
        check(time.monotonic() < until, m.journal())
        time.sleep(0.1)
    m.run(f"echo nonsense >{drop_in}; systemctl reload attentd.service")
    while "reload failed" not in (status := m.run("systemctl show -P StatusText attentd.service")[1]):
        check(time.monotonic() < until, status)
        time.sleep(0.1)
    check('"more"' in m.run(f"{CURL} {URL}/v1/models")[1] and m.main_pid() == pid, m.journal())
    m.run(f"rm {drop_in}")


def test_admin_socket():
    m = booted()
    m.run("systemctl stop attentd.service && systemctl start attentd-admin.socket && systemctl start attentd.service")
    check(m.run("stat -c '%a %U' /run/attentd/admin.sock")[1].strip() == "600 root", "its mode")
    path = "/v1/models/sentiment/reload"
    answer = m.run(f"curl -sS -m 20 --unix-socket /run/attentd/admin.sock -X POST http://localhost{path}")[1]
    check('"version":2' in answer, answer)
    check("insufficient_scope" in m.run(f"{CURL} -X POST {URL}{path}")[1], "open on the other socket")
    m.run("systemctl restart attentd.service")
    check("ready" in m.run("curl -sS -m 20 --unix-socket /run/attentd/admin.sock http://localhost/readyz")[1],
          "gone after a restart")


def test_restarts_refuse_no_connection():
    m = booted()
    # Restarts by hand count as well, and at the limit the socket is closed.
    m.run("systemctl reset-failed attentd.service")
    done = threading.Event()
    failures, counts = [], []

    def client():
        n = 0
        while not done.is_set():
            status, text = m.run(f"{CURL} {URL}/v1/classify -d {BODY}", may_fail=True)
            n += 1
            if status != 0 or '"label"' not in text:
                failures.append((status, text))
        counts.append(n)

    threads = [threading.Thread(target=client) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            time.sleep(0.3)
            m.run("systemctl restart attentd.service")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    check(not failures and sum(counts) > 10, f"{len(failures)} of {sum(counts)} failed: {failures[:3]}")


def test_a_stuck_daemon_is_restarted():
    m = booted()
    m.run("mkdir -p /run/systemd/system/attentd.service.d && "
          "printf '[Service]\\nWatchdogSec=1s\\n' >/run/systemd/system/attentd.service.d/watchdog.conf && "
          "systemctl daemon-reload && systemctl restart attentd.service")
    pid = m.main_pid()
    m.run(f"kill -STOP {pid}")
    until = time.monotonic() + 30
    while time.monotonic() < until and m.main_pid() in (pid, "0"):
        time.sleep(0.1)
    check(m.run(f"{CURL} {URL}/readyz")[1] == '{"status":"ready"}', m.journal())
    check(m.main_pid() != pid and "atchdog" in m.journal(), m.journal())


def test_standalone_takes_over_and_back():
    m = booted()
    for unit in ("attentd-standalone.service", "attentd.socket"):
        m.run(f"systemctl start {unit}")
        check(m.run(f"{CURL} {URL}/readyz")[1] == '{"status":"ready"}', m.journal())
    states = m.run("systemctl is-active attentd-standalone.service attentd.service", may_fail=True)[1]
    check(states.split() == ["inactive", "active"], states)


try:
    run(test_first_request_starts_it, test_journal_has_fields, test_it_has_no_privilege, test_knowledge_base_is_written,
        test_credentials_that_exist_are_handed_over, test_state_is_kept, test_webhooks_leave_it_by_the_drop_in, test_reload, test_admin_socket, test_restarts_refuse_no_connection,
        test_a_stuck_daemon_is_restarted, test_standalone_takes_over_and_back)
finally:
    if isinstance(machine, Machine):
        machine.close()
