//! The MAC of what is no record: the first half of HMAC-SHA-256 (RFC 2104).

use ring::hmac;

/// Bytes of a MAC.
pub(crate) const MAC_LEN: usize = 16;

/// The MAC of the parts, one after the other.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let whole = context.sign();
    let mut mac = [0; MAC_LEN];
    mac.iter_mut()
        .zip(whole.as_ref())
        .for_each(|(to, from)| *to = *from);
    mac
}

/// Whether two MACs are the same, in a time that does not depend on where they differ.
pub(crate) fn is_same(expected: &[u8; MAC_LEN], mac: &[u8; MAC_LEN]) -> bool {
    let pairs = expected.iter().zip(mac);
    std::hint::black_box(pairs.fold(0, |differences, (a, b)| differences | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    /// RFC 4231, test case 2.
    #[test]
    fn a_mac_is_the_first_half_of_hmac_sha_256() {
        let mac = mac(b"Jefe", &[b"what do ya want", b" for nothing?"]);
        assert_eq!(HEXLOWER.encode(&mac), "5bdcc146bf60754e6a042426089575c7");
    }

    #[test]
    fn every_bit_of_a_mac_counts() {
        let mac = mac(b"key", &[b"text"]);
        assert!(is_same(&mac, &mac));
        for bit in 0..8 * MAC_LEN {
            let mut other = mac;
            let (byte, mask) = (other.get_mut(bit / 8).unwrap(), 1 << (bit % 8));
            *byte ^= mask;
            assert!(!is_same(&mac, &other));
        }
    }
}
