"""kan2: Kolmogorov-Arnold networks for science."""

from kan2.data import Dataset as Dataset
from kan2.data import augment as augment
from kan2.data import sample_function as sample_function
from kan2.layers import KANLayer as KANLayer
from kan2.network import LayerValues as LayerValues
from kan2.network import MultKAN as MultKAN
from kan2.spec import BasisSpec as BasisSpec
from kan2.spec import Edge as Edge
from kan2.spec import LayerSpec as LayerSpec
from kan2.spec import NetworkSpec as NetworkSpec
from kan2.spec import SymbolicTerm as SymbolicTerm
