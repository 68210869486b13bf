#![no_std]
#![forbid(unsafe_code)]
//! The B+tree of the mapleaf store.
