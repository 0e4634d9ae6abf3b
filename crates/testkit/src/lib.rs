//! What the tests of Iron Learn share.
