"""kanpiler: compiles formulas into Kolmogorov-Arnold networks, and networks back into formulas.

>>> import kanpiler
>>> net = kanpiler.compile("x*sin(y)")
>>> net.spec.inputs
('x', 'y')
"""

from logging import NullHandler, getLogger

from kan2.core.theory import Parameter as Parameter
from kan2.core.theory import Unknown as Unknown
from kanpiler.decompile import decompile as decompile
from kanpiler.door import compile as compile
from kanpiler.errors import ApproximationWarning as ApproximationWarning
from kanpiler.errors import CompileError as CompileError
from kanpiler.errors import DomainWarning as DomainWarning
from kanpiler.errors import ParseError as ParseError
from kanpiler.errors import UnsupportedExpression as UnsupportedExpression
from kanpiler.errors import VerificationError as VerificationError
from kanpiler.explain import Explanation as Explanation
from kanpiler.explain import explain as explain
from kanpiler.report import Report as Report
from kanpiler.report import report as report
from kanpiler.theory.theory import Theory as Theory

getLogger(__name__).addHandler(NullHandler())
