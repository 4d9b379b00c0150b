"""Who may include whom: the arrows of the design, and the one place of each library."""

import re

from checks import Finding, code_only, files, line_of, read, run

# folder of src/ -> the folders it may include besides itself and base. main.c and src/app/, which put
# the program together, may include all; nobody includes them.
ARROWS = {
    "base": [],
    "config": [],
    "market": [],
    "region": ["market"],
    "venue": ["market"],
    "codec": ["market"],
    "ws": [],
    "io": [],
    "view": ["codec", "region", "market"],
    "session": ["codec", "ws", "market"],
    "ingest": ["venue", "region", "market"],
    "fanout": ["session", "view", "codec", "ws", "io", "region", "market"],
    "http": ["view", "region", "codec", "ws", "market"],
}

# A header of another project -> where it may be included. Tests may use all as oracles.
LIBRARIES = {
    "liburing": ["src/io/"],
    "jansson": ["src/session/"],
    "zlib": ["src/market/checksum.c", "src/codec/deflate.c"],
    "openssl": ["src/ws/upgrade.c", "src/tls/", "src/venue/link_tls.c"],
    "libwebsockets": ["src/http/", "src/venue/link_inside.h", "src/venue/link_socket.c"],
    "msgpack": ["src/codec/msgpack.c"],
    "cyaml": ["src/config/config.c"],
    "yaml": ["src/config/places.c"],
    "cmocka": [],
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)


def project_arrow(path, name):
    """What is wrong with `#include "name"` in the file, or None."""
    parts = path.split("/")
    target = name.split("/")[0]
    if parts[0] == "include":
        return 'a public header must not need private ones: include <tickfan/...> or nothing'
    if parts[0] != "src":
        return None
    if "/" not in name:
        return f'write the folder too: "{parts[1]}/{name}"'
    if len(parts) == 2 or parts[1] == "app" or target in ("base", parts[1]):
        return None
    if parts[1] not in ARROWS:
        return f"src/{parts[1]} has no arrows yet: add it to ARROWS in tests/tidy/include_arrows.py"
    if target not in ARROWS[parts[1]]:
        allowed = ", ".join(["base"] + ARROWS[parts[1]])
        return f"{parts[1]} must not know {target} (it may include {allowed}): let its caller pass what it needs"
    return None


def library_arrow(path, name):
    """What is wrong with `#include <name>` in the file, or None."""
    library = re.split(r"[/.]", name)[0]
    if path.startswith("tests/") or path.startswith("loadtest/") or library not in LIBRARIES:
        return None
    places = LIBRARIES[library]
    if any(path.startswith(place) for place in places):
        return None
    where = " or ".join(places) if places else "tests/"
    return f"<{name}> belongs in {where} alone: call that instead"


def check(root):
    findings = []
    for path in files(root, ["src", "include", "tests", "loadtest"], {".c", ".h", ".def"}):
        text = code_only(read(root, path), keep_strings=True)
        for match in INCLUDE.finditer(text):
            kind, name = match.groups()
            wrong = project_arrow(path, name) if kind == '"' else library_arrow(path, name)
            if wrong:
                findings.append(Finding(path, line_of(text, match.start(2)), wrong))
    return findings


SAMPLES = [
    ({"src/market/book.c": '#include "market/book.h"\n#include "base/mem.h"\n#include "region/region.h"\n'},
     ["src/market/book.c:3"]),
    ({"src/market/book.h": '/*\n#include "io/io.h"\n*/\n#  include "codec/json.h"\n'},
     ["src/market/book.h:4"]),
    ({"src/venue/sim.c": "#include <tickfan/event.h>\n#include <jansson.h>\n",
      "src/session/rpc.c": "#include <jansson.h>\n#include <openssl/evp.h>\n",
      "tests/unit/a_test.c": "#include <cmocka.h>\n#include <jansson.h>\n",
      "src/main.c": '#include "http/http.h"\n#include <liburing.h>\n',
      "src/app/app.c": '#include "fanout/fanout.h"\n'},
     ["src/main.c:2", "src/session/rpc.c:2", "src/venue/sim.c:2"]),
    ({"src/ws/frame.c": '#include "frame.h"\n', "src/new/new.c": '#include "ws/frame.h"\n',
      "include/tickfan/event.h": '#include "base/mem.h"\n'},
     ["include/tickfan/event.h:1", "src/new/new.c:1", "src/ws/frame.c:1"]),
]

if __name__ == "__main__":
    run(check, SAMPLES)
