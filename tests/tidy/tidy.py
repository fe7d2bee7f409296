#!/usr/bin/env python3
"""The rules of the tree that no compiler checks, as TAP: one test a rule. CONTRIBUTING.md says them in words.

A rule that is broken for a reason carries `/* RULE: why */`: in the line or the one before it; for the length of a
function inside or right above it; for the length of a file among its first 20 lines.

    tests/tidy/tidy.py [--cc COMMAND] [ROOT [BUILD]]      BUILD: check the symbols of its libraries too
"""
import concurrent.futures
import os
import re
import shlex
import subprocess
import sys

SKIPPED_DIRS = re.compile(r"^(\.git|build.*|var|__pycache__|corpus)$")
TEXT = (".c", ".h", ".def", ".md", ".py", ".sh", ".conf", ".in", ".service", ".socket", ".build", ".yml", ".cfg", ".1",
        ".8", ".txt", ".html", ".js", ".css")
SCRIPT_DIRS = ("scripts", "examples", "bench", ".ci")
SOURCE_DIRS = ("core", "store", "news", "tasks", "server", "cli", "fuzz", "tests", "bench")
TOP_DIRS = ("core", "store", "news", "tasks", "server", "cli", "conf", "systemd", "docs", "tests", "fuzz", "bench", "examples",
            "tools", "models", "scripts", "man", ".ci")


class Tree:
    def __init__(self, root):
        self.root = root
        self.paths = []
        for folder, dirs, files in os.walk(root):
            dirs[:] = sorted(d for d in dirs if not SKIPPED_DIRS.match(d))
            self.paths += [os.path.relpath(os.path.join(folder, f), root) for f in sorted(files)]
        self.contents = {}

    def read(self, path):
        if path not in self.contents:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace", newline="") as f:
                self.contents[path] = f.read()
        return self.contents[path]

    def lines(self, path):
        return self.read(path).split("\n")

    def code(self, *dirs, endings=(".c", ".h")):
        """Own C files; without `dirs`, those that make up the product."""
        dirs = dirs or ("core", "store", "news", "tasks", "server", "cli")
        return [p for p in self.paths if p.endswith(endings) and p.split("/")[0] in dirs]

    def texts(self):
        return [p for p in self.paths if p.endswith(TEXT) or p.split("/")[0] in SCRIPT_DIRS or "." not in
                os.path.basename(p)]


def bare(source):
    """The C source with comments, strings and character constants blanked; line numbers stay."""
    def blank(m):
        text = m.group(0)
        return re.sub(r"[^\n]", " ", text) if text[0] == "/" else text[0] + " " * (len(text) - 2) + text[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', blank, source, flags=re.S)


def is_excused(lines, number):
    """number counts from 1."""
    return any("RULE:" in line for line in lines[max(0, number - 2):number])


# ---- layers ----

LAYERS = {  # who sees what; a layer always sees itself
    "base": (), "kern": ("base",), "io": ("base",), "text": ("base", "io"), "ops": ("base", "kern"),
    "arch": ("base", "ops"), "gguf": ("base", "io"), "facade": ("base", "kern", "io", "gguf", "text", "ops", "arch"),
    "generate": ("base", "io", "arch", "facade"), "chat": ("base", "io", "gguf", "text"),
    "store": ("base", "attend.h"), "news": ("base", "store"),
    "tasks": ("base", "attend.h", "generate", "chat", "store", "news"),
    "server": ("base", "attend.h", "store", "news", "task.h"),
    "cli": ("base", "attend.h", "generate", "chat", "store", "news", "tasks"),
}
LIBRARIES = (  # header, where alone it may be included
    (r"jansson\.h", r"core/base/jsonw?\.c"),
    (r"utf8proc\.h", r"core/text/unicode\.c"),
    (r"pcre2\.h", r"core/text/regex\.c"),
    (r"microhttpd\.h", r"server/net/http\w*\.[ch]"),
    (r"sqlite3\.h", r"store/\w+\.[ch]"),
    (r"systemd/.*", r"server/(daemon|watch/notify|watch/journal)\.c"),
    (r"cblas\.h|openblas.*", r"core/kern/\w+\.c"),
    (r"gnutls/.*", r"core/base/digest\.c|server/net/tls\.[ch]"),
    (r"cpuid\.h", r"core/kern/cpu\.c"),
    (r"(x86|[a-z]mm)intrin\.h", r"core/kern/x86/\w+\.[ch]"),
    (r"ini\.h", r"server/config/config\w*\.c"),
    (r"pthread\.h", r"(core/base|store|server|cli)/.*"),
    (r"expat\.h", r"cli/feed(_encoding)?\.[ch]"),
    (r"hiredis/.*", r"cli/source_redis\.c"),
    (r"cmocka\.h", r"(tests|bench|fuzz)/.*"),
    (r"curl/.*", r"server/alerts/webhooks\.c|cli/sink\.c|(tests|bench|fuzz)/.*"),
)


def layer_of(path):
    parts = path.split("/")
    if parts[0] != "core":
        return parts[0]
    return parts[1] if len(parts) > 2 else "facade"


def check_layers(tree):
    users_of_blas = []
    for path in tree.code():
        layer = layer_of(path)
        for number, line in enumerate(tree.lines(path), 1):
            m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
            if not m or is_excused(tree.lines(path), number):
                continue
            kind, name = m.groups()
            for header, allowed in LIBRARIES:
                if re.fullmatch(header, name) and not re.fullmatch(allowed, path):
                    yield f"{path}:{number}: {name} is included in {allowed} only"
            if name == "cblas.h":
                users_of_blas.append(path)
            if kind == "<":
                continue
            if "/" not in name or not os.path.exists(os.path.join(tree.root, name)):
                yield f'{path}:{number}: "{name}" is no file named from the root of the tree'
                continue
            target = layer_of(name)
            if layer == "tasks" and target == "tasks":
                # Helpers have headers, for a task in several files or for all; a task has none for other tasks.
                source = os.path.splitext(name)[0] + ".c"
                if source != path and all(p in tree.paths and re.search(r"^const struct task task_", tree.read(p), re.M)
                                          for p in (path, source)):
                    yield f"{path}:{number}: tasks do not include each other ({name})"
            elif target != layer and target not in LAYERS[layer] and not (
                    name == "core/attend.h" and "attend.h" in LAYERS[layer]) and not (
                    name == "tasks/task.h" and "task.h" in LAYERS[layer]):
                yield f"{path}:{number}: {layer} may not include {name}"
    if len(set(users_of_blas)) > 1:
        yield "cblas.h is included in more than one file: " + ", ".join(sorted(set(users_of_blas)))


# ---- sizes ----

def functions(source):
    """(first line, last line) of each function body; it stands in braces in column 1."""
    start = None
    for number, line in enumerate(source.split("\n"), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            yield start, number
            start = None


def check_lengths(tree):
    for path in tree.code():
        is_kernel = path.startswith("core/kern/")
        file_max, function_max = (800, 150) if is_kernel else (600, 70)
        lines = tree.lines(path)
        if path.endswith(".c") and len(lines) - 1 > file_max and not any("RULE:" in x for x in lines[:20]):
            yield f"{path}: {len(lines) - 1} lines, at most {file_max}"
        for first, last in functions(bare(tree.read(path))):
            if last - first + 1 > function_max and not any("RULE:" in x for x in lines[max(0, first - 4):last]):
                yield f"{path}:{first}: a function of {last - first + 1} lines, at most {function_max}"


def check_columns(tree):
    for path in tree.code(*SOURCE_DIRS):
        for number, line in enumerate(tree.lines(path), 1):
            if len(line) > 120 and not is_excused(tree.lines(path), number):
                yield f"{path}:{number}: {len(line)} columns, at most 120"
            if "\t" in line:
                yield f"{path}:{number}: a tab"


# ---- calls and words ----

ALLOCATORS = "malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign"
BANNED = ("sprintf|vsprintf|strcpy|stpcpy|strcat|strtok|gets|atoi|atof|atol|atoll|alloca|setjmp|longjmp|system"
          "|popen|rand|srand|tmpnam|mktemp")


def check_calls(tree):
    for path in tree.code(*SOURCE_DIRS):
        names = BANNED
        if path.split("/")[0] in ("core", "store", "news", "tasks", "server", "cli") and path != "core/base/mem.c":
            names += "|" + ALLOCATORS
        if path.startswith("core/"):
            names += "|printf|fprintf|vfprintf|puts|fputs|perror|exit|_exit|syslog"
        if path.startswith(("core/ops/", "core/arch/")):
            names += "|fopen|open|openat|read|mmap"
        pattern = re.compile(rf"(?<![\w.>])({names})\s*\(")
        for number, line in enumerate(bare(tree.read(path)).split("\n"), 1):
            for m in pattern.finditer(line):
                if not is_excused(tree.lines(path), number):
                    yield f"{path}:{number}: {m.group(1)}() is banned here"


def check_style(tree):
    for path in tree.code():
        source = bare(tree.read(path))
        for number, line in enumerate(source.split("\n"), 1):
            if re.match(r"\s*typedef\s+(struct|enum|union)\b[^(]*$", line) and not is_excused(tree.lines(path), number):
                yield f"{path}:{number}: struct without typedef"
        for first, last in functions(source):
            body = source.split("\n")[first - 1:last]
            labels = {m.group(1): i for i, x in enumerate(body) if (m := re.match(r"(\w+):\s*$", x))}
            for i, line in enumerate(body):
                m = re.search(r"\bgoto (\w+);", line)
                if m and labels.get(m.group(1), i + 1) <= i:
                    yield f"{path}:{first + i}: goto {m.group(1)} goes backward"
        if not tree.read(path).startswith("/*"):
            yield f"{path}:1: the file's top does not say what lives here"
        if path.endswith(".h") and not re.search(r"^#ifndef \w+_H\n#define \w+_H$", tree.read(path), re.M):
            yield f"{path}: no include guard"


def check_words(tree):
    words = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")) + r")\b")
    machine = re.compile("(?<![A-Za-z0-9_.~-])/(?:wo" "rk|ro" "ot|ho" r"me)/[\w.]")
    placeholder = re.compile(r"^\W*[A-Z]{5,}(LINE|TABLE|ROW|S)?\W*$")
    for path in tree.texts():
        for number, line in enumerate(tree.lines(path), 1):
            if words.search(line):
                yield f"{path}:{number}: '{words.search(line).group(1)}'"
            if machine.search(line):
                yield f"{path}:{number}: a path of one machine: {machine.search(line).group(0)}"
            if path.startswith("models/") and placeholder.match(line):
                yield f"{path}:{number}: a placeholder: {line.strip()}"


def check_ends(tree):
    for path in tree.texts():
        content = tree.read(path)
        if content and not content.endswith("\n"):
            yield f"{path}: no newline at the end"
        if content.endswith("\n\n"):
            yield f"{path}: an empty line at the end"
        if "\r" in content:
            yield f"{path}: a carriage return"
        for number, line in enumerate(content.split("\n"), 1):
            if line != line.rstrip() and not path.endswith(".md"):
                yield f"{path}:{number}: white space at the end of the line"


# ---- headers, tests, symbols ----

def check_headers(tree, cc):
    def compile_alone(path):
        flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Wstrict-prototypes", "-Werror"]
        run = subprocess.run(cc + flags + ["-fsyntax-only", "-I", tree.root, "-x", "c", "-"], text=True,
                             input=f'#include "{path}"\n#include "{path}"\n', capture_output=True)
        return f"{path}: does not compile alone:\n{run.stderr}" if run.returncode else None

    # Those of kern/x86 are templates that their includer fills in.
    headers = [p for p in tree.code(endings=".h") if "/x86/" not in p]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from (problem for problem in pool.map(compile_alone, headers) if problem)


def check_tests_listed(tree):
    """A test that the nearest meson.build forgets never runs, and nobody notices."""
    for path in tree.paths:
        if not re.fullmatch(r"tests/.*_test\.(c|py)", path):
            continue
        folder = os.path.dirname(path)
        while f"{folder}/meson.build" not in tree.paths:
            folder = os.path.dirname(folder)
        build = f"{folder}/meson.build"
        stem = re.sub(r"_test\.\w+$", "", os.path.relpath(path, folder))
        if not re.search(rf"'{stem}(_test\.\w+)?'", tree.read(build)):
            yield f"{path} is not in {build}"


SYMBOLS = (("libattend.a", r"att_"), ("libattend_tasks.a", r"(task|store|news)_"), ("libattend_server.a", r"srv_"),
           ("libattend_cli.a", r"cli_"))


STATE_ALLOWED = re.compile(r"core_kern_|core_base_mem\.c.*'(fail_|allocations)|'kernel_names'")  # the table, fault tests


def check_symbols(_tree, build):
    """Prefixes show the layer; and libattend keeps no state but the kernel table."""
    for name, prefix in SYMBOLS:
        archive = os.path.join(build, name)
        if not os.path.exists(archive):
            continue
        member = ""
        for line in subprocess.run(["objdump", "-t", archive], text=True, capture_output=True, check=True).stdout.split("\n"):
            if m := re.match(r"(\S+):\s+file format", line):
                member = m.group(1)
            m = re.match(r"[0-9a-f]{16} (.{7}) (\S+)\s+[0-9a-f]+ (?:\.\w+ )?(\S+)$", line)
            if not m or m.group(2) == "*UND*":
                continue
            flags, section, symbol = m.groups()
            if flags[0] in "gu" and not re.match(prefix, symbol) and not symbol.startswith("__"):
                yield f"{name}: {member}: global symbol '{symbol}' has not the prefix {prefix}"
            state = f"{name}: {member}: '{symbol}' is state of the whole process"
            if name == "libattend.a" and section in (".data", ".bss") and flags[6] == "O" and not STATE_ALLOWED.search(
                    state):
                yield state


# ---- documents ----

def check_documents(tree):
    """Paths of the tree that documents name exist."""
    documents = [p for p in tree.paths if p.endswith(".md") and not p.startswith("tests/")]
    known = set(tree.paths)
    for path in list(known):
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            known.add(path)
    code = re.compile(r"`([^`\n]+)`|^(?: {4}|\$ )(.*)$", re.M)
    word = re.compile(r"(?<![\w./-])((?:" + "|".join(map(re.escape, TOP_DIRS)) + r")/[\w./*{},<>-]*|[A-Z][A-Z]+\.md)")
    for path in documents:
        text = tree.read(path)
        for m in re.finditer(r"\]\(([^)#\s]+)(#[^)]*)?\)", text):
            if not re.match(r"\w+:", m.group(1)):
                target = os.path.normpath(os.path.join(os.path.dirname(path), m.group(1)))
                if target not in known:
                    yield f"{path}: link to {m.group(1)}, which does not exist"
        if path.startswith("models/"):
            continue  # cards name files that their commands make
        blocks = re.findall(r"```[^\n]*\n(.*?)```", text, re.S)
        spans = [m.group(1) or m.group(2) for m in code.finditer(text)] + blocks
        for name in {n for s in spans for n in word.findall(s)}:
            plain = name.rstrip(".,/")
            if any(c in plain for c in "*<>{") or plain in known:
                continue
            yield f"{path}: names {name}, which does not exist"


def check_api_documented(tree):
    """Every row of the route table stands in docs/api.md, every metric in docs/operations.md."""
    for source, pattern, document in (
            ("server/request/routes.c", r'^\s*\{"([A-Z]+)", "([^"]+)"', "docs/api.md"),
            ("server/watch/metrics.def", r"^SRV_\w+\([^\"\n]*\"(attentd?_\w+)\"", "docs/operations.md")):
        if source not in tree.paths:
            continue
        text = tree.read(document) if document in tree.paths else ""
        for m in re.finditer(pattern, tree.read(source), re.M):
            what = " ".join(m.groups())
            if not re.search(re.escape(what) + r"(?![\w/{])", text):
                yield f"{document} does not have '{what}' of {source}"


def check_model_sizes(tree):
    total = sum(os.path.getsize(os.path.join(tree.root, p)) for p in tree.paths if p.startswith("models/"))
    if total > 12_000_000:
        yield f"models/: {total} bytes, at most 12,000,000"


def check_shell(tree):
    for path in tree.texts():
        if re.match(r"#!.*\b(ba)?sh\b", tree.lines(path)[0]):
            shell = "bash" if "bash" in tree.lines(path)[0] else "sh"
            run = subprocess.run([shell, "-n", os.path.join(tree.root, path)], text=True, capture_output=True)
            if run.returncode:
                yield f"{path}: {run.stderr.strip()}"
            if not os.access(os.path.join(tree.root, path), os.X_OK):
                yield f"{path}: not executable"


def main(argv):
    cc = ["cc"]
    if argv[:1] == ["--cc"]:
        cc, argv = shlex.split(argv[1]), argv[2:]
    root = argv[0] if argv else os.environ.get("ATT_SOURCE_ROOT", ".")
    tree = Tree(os.path.abspath(root))
    checks = [
        ("includes keep to the layers", check_layers),
        ("files and functions are short", check_lengths),
        ("lines have at most 120 columns", check_columns),
        ("no banned call", check_calls),
        ("struct without typedef, goto forward, a word at the top", check_style),
        ("no forbidden words, no paths of one machine", check_words),
        ("files end with a newline, lines without white space", check_ends),
        ("every header compiles alone", lambda t: check_headers(t, cc)),
        ("every test is listed in its meson.build", check_tests_listed),
        ("documented paths exist", check_documents),
        ("every route and metric is documented", check_api_documented),
        ("model files are small", check_model_sizes),
        ("scripts parse", check_shell),
    ]
    if len(argv) > 1:
        checks.append(("symbols have their layer's prefix, no global state", lambda t: check_symbols(t, argv[1])))
    print(f"1..{len(checks)}")
    n_failed = 0
    for number, (name, check) in enumerate(checks, 1):
        problems = list(check(tree))
        n_failed += bool(problems)
        for problem in problems:
            print(problem, file=sys.stderr)
        print(f"{'not ok' if problems else 'ok'} {number} - {name}", flush=True)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
