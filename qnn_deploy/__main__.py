"""``python -m qnn_deploy``."""

from qnn_deploy.cli import main

if __name__ == "__main__":
    main()
