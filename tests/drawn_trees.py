"""Trees of classes as a docstring draws them, and as they are."""

import inspect
import re
from types import ModuleType

ROW = re.compile(r"^((?:[│ ]   )*)(├── |└── )?([A-Z]\w+)(?:  |$)")


def drawn(docstring: str) -> dict[str, str]:
    """Each class that a docstring draws with the one above it; an empty text for one that stands alone."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in docstring.splitlines():
        row = ROW.match(line)
        if row is None:
            continue
        depth = len(row[1]) // 4 + bool(row[2])
        path[depth:] = [row[3]]
        found[row[3]] = path[depth - 1] if depth else ""
    return found


def real(module: ModuleType) -> dict[str, str]:
    """Each class of a module with the class of the same module that it derives from, or an empty text."""
    classes = [each for _, each in inspect.getmembers(module, inspect.isclass)]
    own = [each for each in classes if each.__module__ == module.__name__]
    above = {each.__name__: [base.__name__ for base in each.__bases__ if base in own] for each in own}
    return {name: bases[0] if bases else "" for name, bases in above.items()}
