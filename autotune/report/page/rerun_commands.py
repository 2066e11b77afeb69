"""The commands that run a study again, and use its winner."""

from __future__ import annotations

import shlex

from autotune.report.text.study_reader import Study
from autotune.study.storage import store


def commands(study: Study) -> list[str]:
    """The command that runs the same study anew, from its space file; and those that use its winner, if exported."""
    budget, seed, options = study.space.budget, study.space.workload.seed, store.options(study.folder)
    again = ["python", "-m", "autotune", "--space", f"{study.space.name}.yaml", "--name", f"{study.name}-again"]
    again += [] if budget.trials is None else ["--trials", str(max(budget.trials, len(study.results)))]
    again += [] if budget.minutes is None else ["--minutes", f"{budget.minutes:g}"]
    again += ["--no-budget"] if None in (budget.trials, budget.minutes) else []
    again += ["--seed", str(seed), "--instance-type", study.hardware.instance_type]
    if study.space.price is not None and "prices:" not in (store.text(study.folder) or ""):
        again += ["--prices", "prices.yaml"]
    again += [] if options.storage is None else ["--storage", options.storage]
    again += [part for name in options.begin_with for part in ("--from", name)]
    again += [] if options.sampler is None else ["--sampler", options.sampler]
    again += ["--skip-confirmation"] if options.skip_confirmation else []
    found = [again]
    best = study.folder / "best.json"
    if best.exists():
        found.append(["python", "-m", "autotune", "verify", str(best)])
        found.append(["python", "-m", "autotune", "run", str(best), "--", "python", "serve.py"])
    return [shlex.join(command) for command in found]
