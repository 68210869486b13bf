#![no_std]
#![deny(unsafe_code)]
//! Linux behind the mapping trait.
