"""Networks in one file: tensors as safetensors, the spec as JSON in the file's metadata, a checksum over all of it.

Loading executes nothing from the file, and believes nothing in it. A symbolic function that a user registered is stored
with its SymPy text; when the file is read where it is not registered, it is rebuilt from that text.

Reference: https://huggingface.co/docs/safetensors
"""

from kan2.serialize.network import FORMAT as FORMAT
from kan2.serialize.network import load as load
from kan2.serialize.network import save as save
