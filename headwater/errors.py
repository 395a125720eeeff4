"""The errors that people see, as a tree.

    HeadwaterError            ends the command with its text, exit status 1, no traceback
    ├── StartError            the service cannot start: an address in use, a state folder that cannot be written
    ├── StateError            the state cannot be written any more, or has room nowhere, or is another service's: the service ends
    └── DemoMismatchError     the demonstration's view differs from its recomputation

Mistakes in the file are `headwater.check.CheckErrors`; the rooms raise their own errors, named in their modules.
"""

from __future__ import annotations


class HeadwaterError(Exception):
    """The text is for the user: lower case, names the thing, says what to do next."""


class StartError(HeadwaterError):
    """The service cannot start with this file on this machine."""


class StateError(HeadwaterError):
    """A tick could not be made durable, and nothing of it was published; or the state has outgrown memory and disk."""


class DemoMismatchError(HeadwaterError):
    """A view was wrong: the demonstration compared it with a recomputation from what it had produced."""
