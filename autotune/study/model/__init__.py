"""The surrogate model of a study: configurations as points, and what a Gaussian process says of them."""
