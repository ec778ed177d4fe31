"""Checks that every piece of code in docs/clients.md is what the tests run.

Before each block of code the page says "Run by" and links to a file. Each paragraph of the block must stand in that
file line for line; only as a whole may it be indented less or more. Run by scripts/test-clients with one argument, the
top of the repository.
"""

import re
import sys
from pathlib import Path

RUN_BY = re.compile(r"Run\s+by\s+\[[^]]+\]\(([^)]+)\)")


def indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def stands_in(paragraph: list[str], source: list[str]) -> bool:
    stripped = [line.strip() for line in paragraph]
    for start in range(len(source) - len(paragraph) + 1):
        found = source[start : start + len(paragraph)]
        if [line.strip() for line in found] == stripped:
            shifts = {indentation(ours) - indentation(theirs) for ours, theirs in zip(paragraph, found, strict=True)}
            if len(shifts) == 1:
                return True
    return False


def main() -> None:
    page = Path(sys.argv[1]) / "docs" / "clients.md"
    parts = re.split(r"^```\w*\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    wrong = []
    for before, block in zip(parts[0::2], parts[1::2], strict=False):
        names = RUN_BY.findall(before)
        if not names:
            wrong.append(f"nothing is said to run:\n{block}")
            continue
        source = (page.parent / names[-1]).read_text(encoding="utf-8").splitlines()
        for paragraph in re.split(r"\n(?:[ \t]*\n)+", block.strip("\n")):
            if not stands_in(paragraph.splitlines(), source):
                wrong.append(f"not in {names[-1]}:\n{paragraph}")
    if len(parts) < 10 or len(parts) % 2 == 0:
        wrong.append("blocks of code are missing, or not closed")
    if wrong:
        sys.exit("\n\n".join(wrong))


if __name__ == "__main__":
    main()
