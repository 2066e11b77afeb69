"""The confirmation: the search's best configurations are measured again, and the winner gets a claim with an interval.

`stage.confirm` runs it within its part of the budget. In the order of its steps:

1. `finalists`: the best configurations of the search, and the baseline.
2. `paired_comparison`: interleaved runs of them, on disk, by the `schedule`; `elimination` drops those that cannot win.
3. `decision`: the winner, from the paired differences of `scores`, and whether that is a gain.
4. `sample_size`: further calls of the winner alone, where a latency percentile is limited.
5. `ablation`: the worth of each setting of the winner.
6. `reduction`: the winner without the settings that are worth nothing.
7. `path`: the steps from the baseline to the winner.
8. `claim`: what is written down of the winner.

`serving_confirmation` takes the place of all that where the objective is a rate of requests.
"""
