//! Rot.
