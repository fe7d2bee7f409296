"""What the tests of the official clients share: the virtual environment of scripts/clients-venv, which they need and are
skipped without, and a daemon on small models."""
import os
import sys

SOURCE = os.environ["ATT_SOURCE_ROOT"]
VENV = os.path.join(SOURCE, os.environ.get("ATT_CLIENTS_VENV", "var/clients-venv"))

sys.path.insert(0, os.path.join(SOURCE, "tests/system"))


def enter_venv():
    """Runs the calling script anew in the virtual environment, unless it is there."""
    python = os.path.join(VENV, "bin/python")
    if sys.prefix == VENV:
        return
    if not os.path.exists(os.path.join(VENV, "requirements.txt")):
        print("1..0 # SKIP scripts/clients-venv prepares what this test needs")
        sys.exit(0)
    os.execv(python, [python] + sys.argv)


enter_venv()

from daemon import Daemon  # noqa: E402
from tap import check, run  # noqa: E402,F401


def serve(*tests, settings=""):
    """Runs the tests, each of which is given the address, against one daemon, whose clean end is the last test."""
    daemon = Daemon(settings)
    url = "http://%s:%d" % daemon.address

    def bound(test):
        def call():
            test(url)
        call.__name__ = test.__name__
        return call

    def the_daemon_stops_cleanly():
        daemon.stop()

    run(*[bound(test) for test in tests], the_daemon_stops_cleanly)
