"""What the compiler says when it cannot, or should not, go on."""

from kan2.errors import Kan2Error, SpecError


class CompileError(Kan2Error, ValueError):
    """The formula cannot be compiled; the parent of every refusal of this package."""


class ParseError(CompileError):
    """The text is not a formula, or the expression is not of a kind that the compiler reads."""


class UnsupportedExpression(CompileError):
    """A part of the formula has no exact network: complex values, relations, true functions of two variables."""


class ConstraintError(CompileError, SpecError):
    """What is said of a parameter or an unknown function contradicts itself."""


class VerificationError(CompileError):
    """The compiled network does not agree with the formula. This is a defect of the compiler."""


class ApproximationWarning(UserWarning):
    """A part of the formula is trained, not exact; the message says how well."""


class DomainWarning(UserWarning):
    """Somewhere on the declared domain the formula is not finite and real."""
