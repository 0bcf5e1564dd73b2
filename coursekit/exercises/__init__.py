"""Everything that asks the learner: the learner's copy of the notebooks, predictions, exercises, progress."""
