"""Everything that asks: predictions and what came of them, exercises, their judges, hints and progress."""
