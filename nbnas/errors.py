"""The one exception that means "the input is wrong" rather than "the program is wrong"."""


class NbnasError(ValueError):
    """Bad input, stated in one line that a person can act on.

    The command line prints the message without a traceback and exits with status 1.
    """
