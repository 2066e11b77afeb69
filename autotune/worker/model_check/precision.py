"""What is said of a module that its provider gives in half precision."""

from __future__ import annotations

from autotune.core.finding import Finding


def notices(half: str | None, *, kept: bool) -> tuple[Finding, ...]:
    """A notice for a module of this type, `kept` as it is given or made float32; none for other modules."""
    if half is None:
        return ()
    if kept:
        what = f"the module's parameters are {half} and are kept: what is called float32 here is that"
        return (Finding(what=what, instead="write precision: float32 under workload to compare with float32"),)
    what = f"the module's parameters are {half}; they are made float32, and so are half inputs"
    return (Finding(what=what, instead="return model.float(), or write precision: as_given under workload"),)
