#!/usr/bin/env python3
"""Puts styles and scripts into a page, and writes it as a C array with the policy that lets nothing else run.

    tools/embed_page.py OUT.c HEADER NAME PAGE.html STYLE.css SCRIPT.js...

@STYLE@ and @SCRIPT@ in the page are replaced. Made: NAME_text, NAME_text_len, and NAME_policy, a
Content-Security-Policy that names the script by its hash (https://www.w3.org/TR/CSP3/#grammardef-hash-source).
"""
import base64
import hashlib
import sys

from embed import c_array

# Styles stand in the page and in the reports that it shows.
POLICY = ("default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; connect-src 'self'; "
          "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def main(out, header, name, page, style, *scripts):
    script = "".join(map(read, scripts))
    if "</script" in script.lower() or "<!--" in script:
        sys.exit("a script holds what would end it inside the page")
    text = read(page).replace("@STYLE@", read(style))
    script = f'"use strict";\n{script}'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    with open(out, "w", encoding="utf-8") as f:
        f.write(f'/* Made by tools/embed_page.py. */\n#include "{header}"\n\n'
                + c_array(name + "_text", text.replace("@SCRIPT@", script).encode())
                + f'const char {name}_policy[] = "{POLICY.format(hash=digest)}";\n')


if __name__ == "__main__":
    main(*sys.argv[1:])
