"""The one error a user of the local stack sees."""


class StackError(Exception):
    """Something the user can act on. The message is one line that says what is wrong and what to do."""
