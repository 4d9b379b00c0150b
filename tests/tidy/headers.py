"""Each header compiles by itself, and the public ones as strict C11 and, where promised, as C++17."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checks import Finding, files, prove, show

# region.h is the layout in shared memory: _Atomic words, which C++ does not have. reader.h needs it.
C_ALONE = {"include/tickfan/region.h", "include/tickfan/reader.h"}

PRIVATE = ["-std=gnu17", "-D_GNU_SOURCE", "-x", "c"]
C11 = ["-std=c11", "-Wpedantic", "-x", "c"]
CXX17 = ["-std=c++17", "-x", "c++"]  # not pedantic: flexible arrays are an extension there
CXX = next((name for name in ("c++", "g++", "clang++", "clang++-14") if shutil.which(name)), None)


def compile_header(root, path, compiler, options):
    folder, name = path.split("/", 1)
    line = f"#include <{name}>\n" if folder == "include" else f'#include "{name}"\n'
    command = [compiler, *options, "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    command += [f"-I{root}/include", f"-I{root}/src", "-"]
    done = subprocess.run(command, input=line, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    errors = [text for text in done.stderr.splitlines() if "error:" in text] or [done.stderr]
    return Finding(path, 1, f"does not compile alone with {compiler} {options[0]}; "
                            f"include what it uses. First error: {errors[0]}")


def check(root, compiler=os.environ.get("CC", "gcc")):
    jobs = [(path, compiler, PRIVATE) for path in files(root, ["src"], {".h"})]
    for path in files(root, ["include"], {".h"}):
        jobs.append((path, compiler, C11))
        if CXX and path not in C_ALONE:
            jobs.append((path, CXX, CXX17))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = list(pool.map(lambda job: compile_header(root, *job), jobs))
    return [finding for finding in findings if finding]


GOOD = "#include <stddef.h>\nsize_t f(void);\n"
SAMPLES = [
    ({"src/a/a.h": "size_t f(void);\n", "src/a/b.h": GOOD, "include/tickfan/event.h": GOOD}, ["src/a/a.h:1"]),
    ({"include/tickfan/region.h": "uint64_t f(void);\n", "src/a/a.h": "#include <tickfan/event.h>\n"},
     ["src/a/a.h:1", "include/tickfan/region.h:1"]),
]
if CXX:
    SAMPLES.append(({"include/tickfan/event.h": "struct a { int class; };\n"}, ["include/tickfan/event.h:1"]))


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} ROOT (CC: the C compiler)")
    prove(check, SAMPLES)
    findings = check(Path(sys.argv[1]))
    show(findings)
    print(f"{len(findings)} to mend" if findings else "all well")
    if not CXX:
        print("no C++ compiler here: the public headers were tried as C alone")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
