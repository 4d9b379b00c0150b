"""Calls that the product does not make, each with what it makes instead."""

import re

from checks import Finding, code_only, files, line_of, read, run

MEM = "use {} of base/mem.h: counted, and tests can make it fail"
CLOCK = "take a now_ns argument, or read base/clock.h: tests turn that clock"
SLEEP = "no waiting in the product: the loop's timeout does it"
RANDOM = "use base/rng.h: tests fix its seed"

BANNED = {
    "malloc": MEM.format("tf_mem_calloc()"),
    "calloc": MEM.format("tf_mem_calloc()"),
    "realloc": MEM.format("tf_mem_realloc()"),
    "reallocarray": MEM.format("tf_mem_realloc()"),
    "aligned_alloc": MEM.format("tf_mem_aligned()"),
    "posix_memalign": MEM.format("tf_mem_aligned()"),
    "free": MEM.format("tf_mem_free()"),
    "strdup": "allocate with base/mem.h and copy with the length that is known",
    "strndup": "allocate with base/mem.h and copy with the length that is known",
    "asprintf": "format into a tf_buf_t (base/buf.h)",
    "alloca": "a fixed array or base/mem.h: the stack has no error return",
    "sprintf": "use snprintf, or a tf_buf_t (base/buf.h)",
    "vsprintf": "use vsnprintf",
    "strcpy": "copy with memcpy and the length that is known, or snprintf",
    "strncpy": "it may leave no NUL: use snprintf, or memcpy and the length that is known",
    "strcat": "append to a tf_buf_t (base/buf.h)",
    "strncat": "append to a tf_buf_t (base/buf.h)",
    "strtok": "walk with strcspn and lengths: strtok writes to its input and keeps state",
    "gets": "use fgets or getline",
    "scanf": "it cannot tell overflow: parse with market/decimal.h or strtoull and its errors",
    "sscanf": "it cannot tell overflow: parse with market/decimal.h or strtoull and its errors",
    "atoi": "it cannot report an error: use strtol with its end and errno",
    "atol": "it cannot report an error: use strtol with its end and errno",
    "atoll": "it cannot report an error: use strtoll with its end and errno",
    "atof": "no floating point between venue and client: market/decimal.h",
    "rand": RANDOM,
    "srand": RANDOM,
    "random": RANDOM,
    "drand48": RANDOM,
    "getrandom": RANDOM,
    "clock_gettime": CLOCK,
    "gettimeofday": CLOCK,
    "time": CLOCK,
    "sleep": SLEEP,
    "usleep": SLEEP,
    "nanosleep": SLEEP,
    "assert": "use TF_ASSERT (base/assert.h): it is on in release builds too",
    "abort": "use TF_ASSERT (base/assert.h): it says what and where",
    "signal": "use sigaction: what signal() does to a second signal differs between systems",
}

# Where the replacement itself is made.
EXCEPT = {
    "src/base/mem.c": {"malloc", "calloc", "realloc", "reallocarray", "aligned_alloc", "posix_memalign", "free"},
    "src/base/clock.c": {"clock_gettime", "nanosleep"},
    "src/base/rng.c": {"getrandom"},
    "src/base/assert.c": {"abort"},
}

# A member of that name (`list->free(x)`) or a longer word is something else.
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
VOLATILE = re.compile(r"\bvolatile\b")
VOLATILE_ADVICE = "volatile orders nothing between threads: use C11 _Atomic with an explicit order"


def check(root):
    findings = []
    for path in files(root, ["src", "include", "loadtest"], {".c", ".h", ".def"}):
        text = code_only(read(root, path))
        for match in CALL.finditer(text):
            name = match.group(1)
            if path.startswith("src/") and name not in EXCEPT.get(path, ()):
                findings.append(Finding(path, line_of(text, match.start()), f"{name}(): {BANNED[name]}"))
        for match in VOLATILE.finditer(text):
            findings.append(Finding(path, line_of(text, match.start()), VOLATILE_ADVICE))
    return findings


SAMPLES = [
    ({"src/venue/sim.c": 'int a; /* free(x) */\nchar *p = malloc (3);\nputs("strcpy(a, b)");\n// rand()\n'},
     ["src/venue/sim.c:2"]),
    ({"src/base/mem.c": "void *p = malloc(3);\nint r = rand();\n"}, ["src/base/mem.c:2"]),
    ({"src/io/io.c": "tf_mem_free(p);\nops->free(p);\nslot.free(p);\nTF_ASSERT(p);\nidle_time(3);\nint free = 1;\n"},
     []),
    ({"src/io/io.c": "x = 1;\n    volatile int flag;\n  if (atoi(s) > 0)\n    usleep(1);\n"},
     ["src/io/io.c:3", "src/io/io.c:4", "src/io/io.c:2"]),
]

if __name__ == "__main__":
    run(check, SAMPLES)
