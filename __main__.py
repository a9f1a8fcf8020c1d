"""``python -m quintet …`` is the same as ``quintet …``."""

from .cli import main

if __name__ == "__main__":
    main()
