"""THE TABLE: `CASES`, collected from the files of this folder, one a family, each with its own list `CASES`."""

from __future__ import annotations

import importlib
import pkgutil

from reference.case import Case

FAMILIES = sorted(module.name for module in pkgutil.iter_modules(__path__))

CASES: list[Case] = [case for family in FAMILIES for case in importlib.import_module(f"reference.cases.{family}").CASES]
