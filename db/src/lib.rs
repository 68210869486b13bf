//! An embedded, ordered, transactional key-value store whose file is its memory.
#![deny(unsafe_code)]
