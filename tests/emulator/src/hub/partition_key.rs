//! Which partition a key belongs to: by the hash of the official clients, which is Jenkins' lookup3, and the remainder
//! that the one for Node takes of it, so that what is sent by key lies here where that expects it.

/// The partition of a key, out of so many.
pub(crate) fn partition(key: &str, partitions: usize) -> usize {
    // Never more than the service allows, which an i32 holds.
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX).max(1);
    (i32::from(hash(key)) % partitions).unsigned_abs() as usize
}

fn hash(key: &str) -> i16 {
    let (b, c) = lookup3(key.as_bytes());
    // The lower half, with its sign.
    (b ^ c) as i16
}

fn lookup3(mut rest: &[u8]) -> (u32, u32) {
    let seed = 0xdead_beef_u32.wrapping_add(rest.len() as u32);
    let mut words = [seed; 3];
    while let Some((block, after)) = rest.split_at_checked(12).filter(|(_, after)| !after.is_empty()) {
        words = mix(add(words, block));
        rest = after;
    }
    let [_, b, c] = if rest.is_empty() { words } else { finish(add(words, rest)) };
    (b, c)
}

/// Adds up to twelve bytes, four to a word; those that are missing are zero.
fn add(mut words: [u32; 3], block: &[u8]) -> [u32; 3] {
    for (word, bytes) in words.iter_mut().zip(block.chunks(4)) {
        let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        *word = word.wrapping_add(value);
    }
    words
}

fn mix([mut a, mut b, mut c]: [u32; 3]) -> [u32; 3] {
    let mixed = |x: u32, y: u32, rotation| x.wrapping_sub(y) ^ y.rotate_left(rotation);
    (a, c) = (mixed(a, c, 4), c.wrapping_add(b));
    (b, a) = (mixed(b, a, 6), a.wrapping_add(c));
    (c, b) = (mixed(c, b, 8), b.wrapping_add(a));
    (a, c) = (mixed(a, c, 16), c.wrapping_add(b));
    (b, a) = (mixed(b, a, 19), a.wrapping_add(c));
    (c, b) = (mixed(c, b, 4), b.wrapping_add(a));
    [a, b, c]
}

fn finish([mut a, mut b, mut c]: [u32; 3]) -> [u32; 3] {
    let finished = |x: u32, y: u32, rotation| (x ^ y).wrapping_sub(y.rotate_left(rotation));
    c = finished(c, b, 14);
    a = finished(a, c, 11);
    b = finished(b, a, 25);
    c = finished(c, b, 16);
    a = finished(a, c, 4);
    b = finished(b, a, 14);
    c = finished(c, b, 24);
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_where_the_official_clients_say() {
        // Computed by `hashPartitionKey` of @azure/event-hubs; the hash of azure-eventhub differs only beyond ASCII.
        let table = [
            ("", 0),
            ("a", -16220),
            ("ab", 2093),
            ("abc", -14161),
            ("7149583486996073602", 12977),
            ("order-123456", -30693),
            ("abcdefghijkl", -2373),
            ("abcdefghijklm", -31855),
            ("FWfAT", -22341),
            ("sOdeEAsyQoEuEFPGerWO", -6503),
            ("PcQ", -6093),
            ("Grüße", -9312),
            ("the quick brown fox jumps over the lazy dog", -925),
            ("123456789012345678901234", -591),
        ];
        for (key, expected) in table {
            assert_eq!(hash(key), expected, "{key:?}");
        }
    }

    #[test]
    fn every_key_has_one_of_the_partitions() {
        for partitions in [1, 2, 4, 32] {
            let of = |key: u32| partition(&key.to_string(), partitions);
            assert!((0..1000).all(|key| of(key) < partitions));
            let used: std::collections::BTreeSet<_> = (0..1000).map(of).collect();
            assert_eq!(used.len(), partitions, "all of {partitions} are used");
        }
    }
}
