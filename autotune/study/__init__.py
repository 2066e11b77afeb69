"""A study: asking the sampler, keeping results, resuming."""
