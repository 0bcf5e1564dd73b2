"""Everything that asks: the learner's copy of the notebooks, predictions, exercises, their judges, hints, progress."""
