//! Pins: which states somebody may still read or recover to.
