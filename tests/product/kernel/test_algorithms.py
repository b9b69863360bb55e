"""The algorithm that a secret names."""

import pytest

from cludale.kernel.algorithms import algorithm_of


@pytest.mark.parametrize(
    ("secret", "algorithm"),
    [
        ("second:s3cret", "second"),
        ("first:s3cret", "first"),
        ("s3cret", "first"),
        ("second", "first"),
        ("unknown:s3cret", "first"),
        ("unknown:second:s3cret", "first"),
    ],
)
def test_what_stands_before_a_secret_with_a_colon_is_its_algorithm_if_it_is_known(secret: str, algorithm: str) -> None:
    assert algorithm_of(secret, ("first", "second")) == algorithm
