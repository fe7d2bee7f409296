"""A case, and what its files are made with.

A case has the files that differ from its family's model (None: it is left out; a callable makes what is no plain file),
what shall happen, and what a refusal must name: the file, and one of some words.
"""
import json
import os
import socket

import base_models as base
from base_models import dump

REFUSE, ACCEPT, EITHER = "refuse", "accept", "either"


class Case:
    def __init__(self, name, family, files, expect=REFUSE, file="", words=(), like=None):
        self.name, self.family, self.files, self.expect = name, family, files, expect
        self.file, self.words = file, [words] if isinstance(words, str) else list(words)
        self.like = like  # accepted ones: files whose answers must be the same

    def write(self, folder):
        files = dict(base.FAMILIES[self.family]())
        files.update(self.files)
        lay(folder, files)


def lay(folder, files):
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if callable(content):
            content(path)
        elif content is not None:
            with open(path, "wb") as file:
                file.write(content)


def edited(value, path, new):
    """A copy of a JSON value with the member at path ("a.b.0") replaced; `...` deletes it."""
    value = json.loads(json.dumps(value))
    at, keys = value, path.split("/")
    for key in keys[:-1]:
        at = at[int(key) if isinstance(at, list) else key]
    last = int(keys[-1]) if isinstance(at, list) else keys[-1]
    if new is ...:
        del at[last]
    else:
        at[last] = new
    return value


def with_text(value, path, text):
    """The JSON text with the bytes `text` where the member at path stands: for what json.dumps does not write."""
    return dump(edited(value, path, "@@HERE@@")).replace(b'"@@HERE@@"', text)


# ---- files that are none ----

def node(kind, target=""):
    def make(path):
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "directory":
            os.mkdir(path)
        elif kind == "socket":
            here = os.getcwd()
            os.chdir(os.path.dirname(path))  # the name of a socket is short
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.path.basename(path))
            os.chdir(here)
        elif kind == "sparse":
            with open(path, "wb") as file:
                file.truncate(target)
        else:
            os.symlink(target, path)
    return make


def outside(name, files):
    """A link to a file beside the model's folder."""
    def make(path):
        with open(os.path.join(os.path.dirname(os.path.dirname(path)), "outside-" + name), "wb") as file:
            file.write(files[name])
        os.symlink("../outside-" + name, path)
    return make


def repeated(begin, unit, count, end):
    """begin, `count` times unit (with its number, where it has a %), end: written without holding it in memory."""
    def write(path):
        with open(path, "wb") as file:
            file.write(begin)
            for first in range(0, count, 10000):
                numbers = range(first, min(first + 10000, count))
                file.write(b"".join(unit % i for i in numbers) if b"%" in unit else unit * len(numbers))
            file.write(end)
    return write
