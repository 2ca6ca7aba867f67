"""qnn-deploy: binary and ternary networks from PyTorch to bit-packed code, bit for bit.

The functions behind the command line are in `qnn_deploy.api`; importing this package imports nothing heavy.
"""

__version__ = "0.1.0"
