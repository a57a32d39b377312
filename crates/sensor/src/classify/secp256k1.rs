//! Whether a point lies on secp256k1 (SEC 2 section 2.4.1), the curve of Ethereum's keys: half of all random
//! numbers are abscissas, but of random pairs only one in 2^256 is a point.

/// Numbers of 256 bits, the lowest 64 first.
type Number = [u64; 4];

/// The field's prime is 2^256 less this.
const LESS: u64 = (1 << 32) + 977;
const PRIME: Number = [u64::MAX - LESS + 1, u64::MAX, u64::MAX, u64::MAX];

/// Whether these big-endian coordinates satisfy y^2 = x^3 + 7.
pub(crate) fn is_point(x: &[u8; 32], y: &[u8; 32]) -> bool {
    let (x, y) = (number(x), number(y));
    let cube = multiply(multiply(x, x), x);
    !is_less(PRIME, x) && x != PRIME && !is_less(PRIME, y) && y != PRIME && multiply(y, y) == add(cube, 7)
}

fn number(bytes: &[u8; 32]) -> Number {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    }
    limbs
}

fn is_less(one: Number, other: Number) -> bool {
    one.iter().rev().lt(other.iter().rev())
}

/// The sum, modulo the prime, of a number below the prime and a small one.
fn add(number: Number, small: u64) -> Number {
    reduce(number, u128::from(small))
}

/// The product modulo the prime.
fn multiply(one: Number, other: Number) -> Number {
    let mut wide = [0u64; 8];
    for (at, &a) in one.iter().enumerate() {
        let mut carry = 0;
        for (&b, sum) in other.iter().zip(wide.iter_mut().skip(at)) {
            let part = u128::from(a) * u128::from(b) + u128::from(*sum) + carry;
            (*sum, carry) = (part as u64, part >> 64);
        }
        if let Some(top) = wide.get_mut(at + 4) {
            *top = carry as u64;
        }
    }
    // The upper half counts 2^256 each, which is as much as LESS.
    let [l0, l1, l2, l3, h0, h1, h2, h3] = wide;
    let mut low = [l0, l1, l2, l3];
    let mut carry = 0u128;
    for (limb, high) in low.iter_mut().zip([h0, h1, h2, h3]) {
        let part = u128::from(high) * u128::from(LESS) + u128::from(*limb) + carry;
        (*limb, carry) = (part as u64, part >> 64);
    }
    reduce(low, carry * u128::from(LESS))
}

/// A number and a not so small one (below 2^98) added, modulo the prime.
fn reduce(mut number: Number, mut more: u128) -> Number {
    while more != 0 {
        let mut carry = more;
        for limb in &mut number {
            let part = u128::from(*limb) + (carry & u128::from(u64::MAX));
            *limb = part as u64;
            carry = (carry >> 64) + (part >> 64);
        }
        more = carry * u128::from(LESS);
    }
    if is_less(number, PRIME) {
        return number;
    }
    let mut borrow = false;
    for (limb, prime) in number.iter_mut().zip(PRIME) {
        let (part, first) = limb.overflowing_sub(prime);
        let (part, second) = part.overflowing_sub(u64::from(borrow));
        (*limb, borrow) = (part, first || second);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::super::testing::hex;
    use super::*;

    fn point(x: &str, y: &str) -> bool {
        is_point(&hex(x).try_into().unwrap(), &hex(y).try_into().unwrap())
    }

    #[test]
    fn points_and_others() {
        // The generator, and twice the generator.
        let g = (
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
        );
        let double = (
            "c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
            "1ae168fea63dc339a3c58419466ceaeef7f632653266d0e1236431a950cfe52a",
        );
        assert!(point(g.0, g.1) && point(double.0, double.1));
        assert!(!point(g.0, double.1) && !point(g.1, g.0));
        assert!(!point(&"00".repeat(32), &"00".repeat(32)) && !point(&"ff".repeat(32), &"ff".repeat(32)));
    }

    #[test]
    fn arithmetic_at_the_edges() {
        let least = [PRIME[0] - 1, PRIME[1], PRIME[2], PRIME[3]];
        assert_eq!(multiply(least, least), [1, 0, 0, 0], "minus one squared");
        assert_eq!(add(least, 8), [7, 0, 0, 0]);
        assert_eq!(reduce(PRIME, 0), [0; 4]);
    }
}
