"""The one error that learners see: a sentence saying what was given, what was expected and what to do."""


class CourseError(Exception):
    """A mistake in what was given to coursekit, worded for the person who gave it."""

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone in a notebook: IPython calls this instead of printing frames."""
        return [f"{type(self).__name__}: {self}"]
