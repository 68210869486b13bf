//! Numbers that nobody else has.

/// Sixteen bytes for a store's UUID (version 4), and a number for its salts.
pub(crate) fn new() -> ([u8; 16], u64) {
    let bytes = random();
    let mut uuid = [0; 16];
    let (head, tail) = bytes.split_at(16);
    uuid.copy_from_slice(head);
    // RFC 9562: version 4 in the high half of byte 6, the variant in the top bits of byte 8.
    uuid[6] = uuid[6] & 0x0F | 0x40;
    uuid[8] = uuid[8] & 0x3F | 0x80;
    (uuid, tail.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(target_os = "linux")]
fn random() -> [u8; 24] {
    mapleaf_sys_linux::entropy().unwrap_or_else(|_| from_hashers())
}

#[cfg(not(target_os = "linux"))]
fn random() -> [u8; 24] {
    from_hashers()
}

/// The standard library seeds its hashers from the system.
fn from_hashers() -> [u8; 24] {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut bytes = [0; 24];
    for chunk in bytes.as_chunks_mut::<8>().0 {
        let mut hasher = RandomState::new().build_hasher();
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        hasher.write_u128(since.as_nanos());
        *chunk = hasher.finish().to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differs_and_is_a_uuid() {
        let ((one, salt), (other, another)) = (new(), new());
        assert!(one != other && salt != another);
        assert_ne!(from_hashers(), from_hashers());
        assert_eq!((one[6] >> 4, one[8] >> 6), (4, 2));
    }
}
