"""What the checks of this folder share: the files of a tree, C without its comments, the report.

A check is a function from the root of a tree to a list of findings. run() first shows it small bad
trees, so that every run proves that the check can still fail; then the real one.
"""

import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple


class Finding(NamedTuple):
    path: str  # relative to the root
    line: int
    text: str  # what is wrong, and what to do instead
    fails: bool = True  # False: listed, but the check passes

    def __str__(self):
        return f"{self.path}:{self.line}: {'' if self.fails else 'note: '}{self.text}"


def files(root, folders, suffixes):
    """The paths relative to root, in order, of all files below `folders` that end in `suffixes`."""
    found = []
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if path.suffix in suffixes and path.is_file():
                found.append(path.relative_to(root).as_posix())
    return sorted(found)


def read(root, path):
    return (root / path).read_text(encoding="utf-8")


# Comments, strings and characters, whichever begins first.
QUIET = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def code_only(text, keep_strings=False):
    """C without comments (and strings): blanks in their place, so lines and columns stay."""

    def blank(match):
        word = match.group()
        if keep_strings and word[0] in "\"'":
            return word
        return re.sub(r"[^\n]", " ", word)

    return QUIET.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def show(findings):
    for finding in findings:
        print(finding)


def prove(check, samples):
    """Each sample is ({path: text}, the findings it must give as ["path:line", ...])."""
    for tree, expected in samples:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path, text in tree.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            findings = check(root)
        got = [f"{finding.path}:{finding.line}" for finding in findings]
        if got != expected:
            print(f"the check is broken: its sample must give {expected}, and gave {got}")
            show(findings)
            sys.exit(2)


def run(check, samples, arguments=None):
    """Prove the check, then apply it to the tree named on the command line and exit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        sys.exit(f"usage: {sys.argv[0]} ROOT")
    prove(check, samples)
    findings = check(Path(arguments[0]))
    show(findings)
    failures = sum(finding.fails for finding in findings)
    print(f"{failures} to mend" if failures else "all well")
    sys.exit(1 if failures else 0)
