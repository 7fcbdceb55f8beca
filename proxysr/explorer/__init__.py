"""What analysts explore a run with: the interactive explorer and its offline report."""
