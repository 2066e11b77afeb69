"""How far the outputs of a configuration are from the reference's: as a whole, by their parts, in their order."""
