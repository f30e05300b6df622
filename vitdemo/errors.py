"""The errors that a person may see. Every message is one sentence or two: what came, and what is allowed."""


class VitdemoError(Exception):
    """Something that the person can put right; its text is shown as it is."""


class PictureError(VitdemoError):
    """The picture cannot be used."""


class UnknownNameError(VitdemoError):
    """A name that no registry, catalogue or label list has."""

    def __init__(self, kind: str, name: object, known: list[str]):
        shown = ", ".join(known[:40]) + (" …" if len(known) > 40 else "")
        super().__init__(f"Unknown {kind} {str(name)[:80]!r}; allowed: {shown or 'none'}.")


class WeightsError(VitdemoError):
    """Weights are missing, damaged, or cannot be fetched."""


class NotOfferedError(VitdemoError):
    """A method has no honest result for this backbone or fusion; the message says why and names an alternative."""


class Cancelled(VitdemoError):
    """The person asked to stop."""
