"""./dev answers whoever does not know it: usage on --help, exit 2 with advice on nonsense."""

import subprocess
import sys
from pathlib import Path

# arguments, exit code, what stdout begins with, what stderr begins with
ANSWERS = [
    (["--help"], 0, "usage: ./dev", ""),
    (["help"], 0, "usage: ./dev", ""),
    ([], 2, "", "dev: what shall it do?"),
    (["tset"], 2, "", "dev: no such command: tset"),
    (["test", "everything"], 2, "", "dev: test takes nothing or 'all'"),
    (["build", "debug"], 2, "", "dev: build takes no 'debug'"),
    (["clean", "--all"], 2, "", "dev: clean takes no '--all'"),
]


def differences(command, answers):
    found = []
    for arguments, code, out, err in answers:
        done = subprocess.run([*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, cwd="/", timeout=30, check=False)
        if done.returncode != code or not done.stdout.startswith(out) or not done.stderr.startswith(err):
            found.append(f"dev:1: './dev {' '.join(arguments)}' exits {done.returncode} and says "
                         f"{(done.stdout + done.stderr)[:60]!r}; it must exit {code} and say {out or err!r}")
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} ROOT")
    if len(differences(["true"], ANSWERS)) != len(ANSWERS):
        sys.exit("the check is broken: a command that says nothing must fail all of it")
    found = differences([Path(sys.argv[1]).resolve() / "dev"], ANSWERS)
    print("\n".join(found) or "all well")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
