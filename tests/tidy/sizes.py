"""Files and functions that grew too long, and words that say something was left for later."""

import re

from checks import Finding, code_only, files, line_of, read, run

FILE_LINES_AIM = 600
FILE_LINES_MAX = 700
FUNCTION_LINES_AIM = 70
FUNCTION_LINES_MAX = 75
LEFTOVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")


def file_size(path, text):
    lines = text.count("\n")
    if lines > FILE_LINES_MAX:
        return [Finding(path, lines, f"{lines} lines, at most {FILE_LINES_MAX}: give a part of it a file and a name")]
    if lines > FILE_LINES_AIM:
        return [Finding(path, lines, f"{lines} lines, {FILE_LINES_AIM} is the aim", fails=False)]
    return []


def function_sizes(path, text):
    """A body is what stands between a lone '{' and a lone '}' in column 0: only functions have both."""
    findings = []
    start = None
    for number, line in enumerate(code_only(text).split("\n"), 1):
        if line.rstrip() == "{":
            start = number
        elif line.rstrip() == "}" and start is not None:
            lines = number - start - 1
            if lines > FUNCTION_LINES_MAX:
                findings.append(Finding(path, start, f"a function of {lines} lines, at most {FUNCTION_LINES_MAX}: split it"))
            elif lines > FUNCTION_LINES_AIM:
                findings.append(Finding(path, start, f"a function of {lines} lines, {FUNCTION_LINES_AIM} is the aim", fails=False))
            start = None
    return findings


def leftovers(path, text):
    return [
        Finding(path, line_of(text, match.start()), f"{match.group()}: do it now, or write down why it is fine as it is")
        for match in LEFTOVER.finditer(text)
    ]


def check(root):
    findings = []
    for path in files(root, ["src", "include"], {".c", ".h"}):
        findings += file_size(path, read(root, path))
    for path in files(root, ["src", "include", "tests", "loadtest"], {".c", ".h"}):
        findings += function_sizes(path, read(root, path))
    text_files = {".c", ".h", ".def", ".py", ".sh", ".txt", ".md", ".yaml", ".js", ".html", ".css"}
    for path in files(root, ["src", "include", "tests", "loadtest", "docker", "proto"], text_files):
        findings += leftovers(path, read(root, path))
    return findings


def sample_function(lines):
    return "int f(void)\n{\n" + "    x();\n" * lines + "}\n"


SAMPLES = [
    ({"src/a/a.c": "int x;\n" * 701, "src/a/b.c": "int x;\n" * 601, "src/a/c.c": "int x;\n" * 600},
     ["src/a/a.c:701", "src/a/b.c:601"]),
    ({"src/a/a.c": sample_function(70) + sample_function(71) + sample_function(76)},
     ["src/a/a.c:75", "src/a/a.c:149"]),
    ({"src/a/a.c": "int x; // TO" + "DO later\nmkdtemp(\"aXXXXXX\");\n"}, ["src/a/a.c:1"]),
]

if __name__ == "__main__":
    run(check, SAMPLES)
