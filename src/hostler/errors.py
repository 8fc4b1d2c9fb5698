"""The exception tree of Hostler: one shallow family, each class with the exit status it ends the program with."""


class HostlerError(Exception):
    """An error that Hostler explains in one line and turns into an exit status.

    The text names the thing, the value seen, and what to do next.
    """

    exit_status = 1


class ConfigurationError(HostlerError):
    """The configuration, the command line or the environment asks for something that cannot be."""

    exit_status = 2


class ApplicationError(HostlerError):
    """The application could not be found or could not be loaded.

    Args:
        message: one line that says what is wrong and what to do.
        details: the application's own traceback as text, when there is one.
    """

    exit_status = 3

    def __init__(self, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.details = details


class BindError(HostlerError):
    """A listener could not be bound, or a descriptor handed to us is not a listening socket."""

    exit_status = 4


class PrivilegeError(HostlerError):
    """The operating system refused something that needs more rights (user, group, port, file)."""

    exit_status = 5
