//! JSON for programs.

use crate::text;
use serde_json::{Map, Value};

/// Adds bytes to an object: as a string under `name` where they are UTF-8, else as hexadecimal digits
/// under `name_hex`.
pub(crate) fn put_bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.into(), text.into()),
        Err(_) => {
            let mut digits = Vec::with_capacity(bytes.len() * 2);
            text::hex(&mut digits, bytes);
            let digits = String::from_utf8_lossy(&digits).into_owned();
            object.insert(format!("{name}_hex"), digits.into())
        }
    };
}
