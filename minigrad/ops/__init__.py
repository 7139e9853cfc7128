"""Every operation, a file a family."""

# INTERIM: families that have arrived; becomes explicit imports.
import importlib as _importlib

for _family in (
    "cast create arithmetic elementwise compare activation reduce reduce_more linalg loss norm conv pool shape index pad stats scan order embedding"
).split():
    try:
        _module = _importlib.import_module(f"minigrad.ops.{_family}")
    except ModuleNotFoundError as _error:
        if _error.name != f"minigrad.ops.{_family}":
            raise
        continue
    for _name in _module.__all__:
        globals()[_name] = getattr(_module, _name)
