"""What a user can mend: each error is one line that says what was wrong, where, and what to do."""


class ClrbenchError(Exception):
    """Base of the errors that are shown without a traceback."""


class ConfigError(ClrbenchError):
    """A choice or value that cannot be run."""


class DataError(ClrbenchError):
    """A data set that is missing, damaged or not of the expected form."""
