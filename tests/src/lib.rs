//! What the tests of this package share. The tests themselves are in `tests/tests`.
