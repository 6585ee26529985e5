"""Ways through several rooms run as users run them: without the checker of types, for which there are unit tests."""

import pytest


@pytest.fixture(autouse=True)
def as_users_run(unchecked):
    """Switches the checker off. Some studies give other methods the processor time that they took themselves."""
