"""treeconv: see the structure of any network as a tree."""

from treeconv.calibration import Evidence as Evidence
from treeconv.conversion import convert as convert
from treeconv.tree import Tree as Tree
from treeconv.tree import compare as compare
from treeconv.tree import from_json as from_json
from treeconv.tree import structure as structure
from treeconv.tree import to_json as to_json
