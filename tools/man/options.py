#!/usr/bin/env python3
"""Writes attentd.conf(5) from its template and the rows of server/config/options.def.

    tools/man/options.py TEMPLATE OPTIONS_DEF OUTPUT      the template's line @OPTIONS@ becomes the options
"""
import re
import sys

STRING = r'"((?:[^"\\]|\\.)*)"'
ROW = re.compile(rf"^SRV_OPTION(_OF)?\(\s*(\w+),\s*(\w+),\s*(\w+),\s*{STRING},\s*{STRING},\s*([^,]+),\s*([^,]+),\s*"
                 rf"((?:{STRING}\s*)+)\)", re.M)


def rows(text):
    """(section, is_named, name, type, unit, default, min, max, help) of every option, in order."""
    for m in ROW.finditer(text):
        named, section, name, kind, unit, default, low, high = m.groups()[:8]
        words = "".join(re.findall(STRING, m.group(9)))
        yield section, bool(named), name, kind, unit, default, low.strip(), high.strip(), words


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def page(text):
    lines, heading = [], None
    for section, named, name, kind, unit, default, low, high, words in rows(text):
        if (section, named) != heading:
            lines += [".El"] if heading else []
            lines += [f'.Ss "[{section}{" NAME" if named else ""}]"', ".Bl -tag -width Ds"]
            heading = (section, named)
        lines += [f".It Cm {name} = " + (f"Ar {unit}" if unit else "Ar number" if kind == "NUMBER" else "Ar value"),
                  escape(words[:1].upper() + words[1:]) + "."]
        if kind == "NUMBER":
            lines += [f"{low} to {high}, default {escape(default)}."]
        elif kind == "TEXT" and not default:
            lines += ["Required."]
        else:
            lines += [f"Default {escape(default)}."]
    return "\n".join(lines + ([".El"] if heading else []))


def main(template, definitions, output):
    with open(template, encoding="utf-8") as f, open(definitions, encoding="utf-8") as d:
        text = f.read().replace("@OPTIONS@", page(d.read()))
    with open(output, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
