"""`python -m kan2`: the command `kan2`."""

from kan2.cli import main

if __name__ == "__main__":
    main()
