"""The one exception that means "the input is wrong" rather than "the program is wrong", and messages in one line."""


class NbnasError(ValueError):
    """Bad input, stated in one line that a person can act on.

    The command line prints the message without a traceback and exits with status 1.
    """


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
