"""Why a process cannot start, in one line for the operator."""


class StartupError(Exception):
    """Ends the process with exit code 2 and its message as the only line; names the variable, its value and
    the cause.
    """
